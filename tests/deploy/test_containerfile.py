"""The image: what the Containerfile installs and runs as is what the locks and the manifests say."""

import re
from pathlib import Path
from typing import Final

from trunkline.deploy.pods import USER

ROOT: Final = Path(__file__).parents[2]
CONTAINERFILE: Final = (ROOT / "Containerfile").read_text()


def pins(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+==\S+)", (ROOT / "requirements" / lock).read_text(), re.MULTILINE))


def test_the_image_has_the_versions_that_are_tested() -> None:
    assert pins("services.lock") < pins("run.lock")
    assert pins("build.lock") < pins("run.lock")


def test_it_has_what_the_services_need_and_not_what_only_importers_need() -> None:
    names = {pin.partition("==")[0] for pin in pins("services.lock")}
    assert {"psycopg-binary", "fastapi", "duckdb", "redis", "apprise", "cedarpy"} <= names
    assert not {"mlflow-skinny", "hatchling"} & names


def test_everything_from_a_registry_is_checked_by_hash_and_nothing_is_compiled() -> None:
    installs = re.findall(r"pip install (.+)", CONTAINERFILE)
    from_registry = [options for options in installs if "-r " in options]
    assert len(from_registry) == 2
    assert all("--require-hashes --only-binary :all:" in options for options in from_registry)
    assert [options for options in installs if "-r " not in options] == ["--no-deps dist/*.whl \\"]


def test_it_runs_as_the_user_that_the_manifests_name() -> None:
    assert f"USER {USER}:{USER}\n" in CONTAINERFILE


def test_all_that_it_copies_passes_the_ignore_file() -> None:
    lines = (ROOT / ".containerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    sources = {
        re.sub(r"requirements/.+", "requirements/*.lock", name) for one in copied for name in one.split()
    }
    assert sources == allowed
