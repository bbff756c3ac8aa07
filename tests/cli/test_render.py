"""`trunkline render`: writes a tree that stands, refuses to guess, and tells a drift by its exit code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from trunkline.cli import _tree

Trunkline = Callable[..., Any]
PRODUCTION: Final = ("render", "--environment", "production")
DEVELOPMENT: Final = ("render", "--environment", "development")
PACKAGED: Final = Path(__file__).parents[2] / "src/trunkline/catalogue/contract.yaml"


def files(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): path.read_text(encoding="utf-8")
        for path in directory.rglob("*")
        if path.is_file() and path.name != _tree.MARKER
    }


def test_an_environment_is_written_and_a_second_time_nothing_changes(
    trunkline: Trunkline, tmp_path: Path
) -> None:
    ran = trunkline(*PRODUCTION, "-o", str(tmp_path / "deploy"))
    assert (ran.code, ran.err) == (0, "")
    written = files(tmp_path / "deploy")
    assert "overlays/production/kustomization.yaml" in written
    assert not [path for path in written if path.startswith("overlays/development/")]
    again = trunkline(*PRODUCTION, "-o", str(tmp_path / "deploy"), "--json")
    assert again.json() == {"directory": str(tmp_path / "deploy"), "files": len(written), "changed": []}


def test_both_environments_share_a_directory(trunkline: Trunkline, tmp_path: Path) -> None:
    trunkline(*PRODUCTION, "-o", str(tmp_path))
    alone = files(tmp_path)
    ran = trunkline(*DEVELOPMENT, "-o", str(tmp_path))
    assert "for development and production" in ran.out
    both = files(tmp_path)
    assert alone.items() <= both.items()
    assert "overlays/development/kustomization.yaml" in both


def test_check_names_what_differs_and_writes_nothing(trunkline: Trunkline, tmp_path: Path) -> None:
    trunkline(*PRODUCTION, "-o", str(tmp_path))
    assert trunkline(*PRODUCTION, "-o", str(tmp_path), "--check").code == 0
    edited = tmp_path / "overlays/production/kustomization.yaml"
    edited.write_text("resources: []\n")
    (tmp_path / "overlays/production/README.md").unlink()
    ran = trunkline(*PRODUCTION, "-o", str(tmp_path), "--check")
    assert ran.code == 3
    assert [line.split()[0] for line in ran.out.splitlines()] == ["missing", "different"]
    assert str(edited) in ran.out
    assert edited.read_text() == "resources: []\n"
    assert trunkline(*PRODUCTION, "-o", str(tmp_path)).code == 0
    assert trunkline(*PRODUCTION, "-o", str(tmp_path), "--check").code == 0


def test_check_of_a_directory_that_is_not_there_says_that_all_is_missing(
    trunkline: Trunkline, tmp_path: Path
) -> None:
    ran = trunkline(*PRODUCTION, "-o", str(tmp_path / "absent"), "--check", "--json")
    assert ran.code == 3
    assert {one["how"] for one in ran.json()["differences"]} == {"missing"}
    assert not (tmp_path / "absent").exists()


def test_standard_output_is_one_stream_of_all_resources(trunkline: Trunkline) -> None:
    ran = trunkline(*PRODUCTION, "--stdout")
    kinds = [one["kind"] for one in yaml.safe_load_all(ran.out)]
    assert kinds == sorted(kinds)
    assert kinds.count("KafkaTopic") >= 10
    assert kinds.count("Kafka") == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "give either -o DIR"),
        (("--stdout", "--check"), "give either -o DIR"),
        (("--stdout", "-o", "DIR"), "give either -o DIR"),
    ],
)
def test_it_is_told_where_to_write(trunkline: Trunkline, arguments: tuple[str, ...], why: str) -> None:
    ran = trunkline(*PRODUCTION, *arguments)
    assert ran.code == 2
    assert why in ran.err
    assert ran.err.count("\n") == 1


def test_a_directory_of_somebody_else_is_left_alone(trunkline: Trunkline, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    ran = trunkline(*PRODUCTION, "-o", str(tmp_path))
    assert ran.code == 2
    assert "did not write" in ran.err
    assert files(tmp_path) == {"mine.txt": "mine"}


def test_an_environment_that_is_not_there_is_named(trunkline: Trunkline, tmp_path: Path) -> None:
    ran = trunkline("render", "--environment", "prodution", "-o", str(tmp_path / "deploy"))
    assert ran.code == 2
    assert "did you mean production?" in ran.err
    assert not (tmp_path / "deploy").exists()


def test_a_catalogue_of_ones_own_is_rendered_and_given_to_the_pods(
    trunkline: Trunkline, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("# ours\n" + PACKAGED.read_text(encoding="utf-8"), encoding="utf-8")
    made = list(yaml.safe_load_all(trunkline(*PRODUCTION, "--stdout", "--catalogue", str(own)).out))
    texts = [one["data"]["catalogue.yaml"] for one in made if "catalogue.yaml" in one.get("data", {})]
    assert texts == [own.read_text(encoding="utf-8")]


def test_what_moves_to_the_base_leaves_the_overlay(trunkline: Trunkline, tmp_path: Path) -> None:
    trunkline(*PRODUCTION, "-o", str(tmp_path / "deploy"))
    less = yaml.safe_load(PACKAGED.read_text(encoding="utf-8"))
    del less["environments"]["development"]
    for topic in less["topics"].values():
        topic.get("partitions", {}).pop("development", None)
    (tmp_path / "less.yaml").write_text(yaml.safe_dump(less, sort_keys=False))
    ran = trunkline(*PRODUCTION, "-o", str(tmp_path / "deploy"), "--catalogue", str(tmp_path / "less.yaml"))
    assert ran.code == 0, ran.err
    # Now everything is common to all environments, of which there is one.
    assert "overlays/production/kafka.yaml" not in files(tmp_path / "deploy")
    assert "base/kafka.yaml" in files(tmp_path / "deploy")
