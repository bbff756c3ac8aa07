"""The rendered trees: what `kubectl kustomize` makes of each is exactly what the catalogue asks for.

The files under `golden/` are the packaged catalogue's. A change of what is rendered shows there as a diff to
review; renew them with

    trunkline render --environment development -o tests/deploy/golden
    trunkline render --environment production -o tests/deploy/golden
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import TopicName
from trunkline.deploy.guarding import GUARDED, GUARDS
from trunkline.deploy.rendering import deployed_environments, render, resources, stream
from trunkline.errors import InvalidInput
from trunkline.testing.keda import API_VERSION as KEDA
from trunkline.testing.keda import keda_problems
from trunkline.testing.kubernetes import problems

CATALOGUE: Final = load_catalogue()
ENVIRONMENTS: Final = ("development", "production")
GOLDEN: Final = Path(__file__).parent / "golden"
OURS: Final = Path(__file__).parents[2] / "src"

Key = tuple[str, str, str, str]


def key_of(manifest: Mapping[str, Any]) -> Key:
    metadata = manifest["metadata"]
    return manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def written(directory: Path, tree: Mapping[str, str]) -> Path:
    for path, text in tree.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text, encoding="utf-8")
    return directory


def test_the_contract_is_deployed_in_both_environments() -> None:
    assert deployed_environments(CATALOGUE) == list(ENVIRONMENTS)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_rendered_files_are_the_golden_ones(environment: str) -> None:
    tree = render(CATALOGUE, environment)
    golden = {
        path.relative_to(GOLDEN).as_posix(): path.read_text(encoding="utf-8")
        for part in ("base", f"overlays/{environment}")
        for path in (GOLDEN / part).rglob("*")
        if path.is_file()
    }
    differing = sorted(path for path in {*tree, *golden} if tree.get(path) != golden.get(path))
    assert not differing, (
        f"{len(differing)} files differ from tests/deploy/golden; look at the diff after "
        f"`trunkline render --environment {environment} -o tests/deploy/golden`"
    )


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_kustomize_makes_exactly_the_resources_of_the_overlay(environment: str, tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl to build overlays with")
    overlay = written(tmp_path, render(CATALOGUE, environment)) / "overlays" / environment
    built = subprocess.run(
        [kubectl, "kustomize", str(overlay)], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    made = {key_of(one): one for one in yaml.safe_load_all(built)}
    assert made == {one.key: one.manifest() for one in resources(CATALOGUE, environment)}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_kubernetes_api_takes_everything_and_drops_nothing(environment: str, schemas: Path) -> None:
    wrong = {}
    for one in yaml.safe_load_all(stream(CATALOGUE, environment)):
        found = keda_problems(one) if one["apiVersion"] == KEDA else problems(one, schemas)
        if found:
            wrong[key_of(one)] = found
    assert wrong == {}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_resource_stands_in_one_file_of_the_tree(environment: str) -> None:
    found = [
        key_of(one)
        for path, text in render(CATALOGUE, environment).items()
        if path.endswith(".yaml") and not path.endswith("kustomization.yaml")
        for one in yaml.safe_load_all(text)
    ]
    assert sorted(found) == sorted(one.key for one in resources(CATALOGUE, environment))


def test_the_base_is_the_same_whichever_environment_is_rendered() -> None:
    bases = [
        {path: text for path, text in render(CATALOGUE, environment).items() if path.startswith("base/")}
        for environment in ENVIRONMENTS
    ]
    assert bases[0] == bases[1] != {}


def test_an_overlay_has_nothing_that_both_environments_have_alike() -> None:
    alike = set.intersection(
        *({str(one.manifest()) for one in resources(CATALOGUE, name)} for name in ENVIRONMENTS)
    )
    for environment in ENVIRONMENTS:
        for path, text in render(CATALOGUE, environment).items():
            if path.startswith("overlays/") and path.endswith(".yaml"):
                assert not alike & {str(one) for one in yaml.safe_load_all(text)}, path


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_same_catalogue_gives_the_same_bytes_in_every_process(environment: str) -> None:
    program = (
        "import sys; from trunkline.catalogue.load import load_catalogue; "
        "from trunkline.deploy.rendering import stream; "
        f"sys.stdout.write(stream(load_catalogue(), {environment!r}))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(OURS)},
            check=True,
            capture_output=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {stream(CATALOGUE, environment).encode()}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_holds_data_is_guarded_against_pruning(environment: str) -> None:
    found = [one for one in resources(CATALOGUE, environment) if one.kind in GUARDED]
    assert {"Kafka", "KafkaNodePool", "KafkaTopic"} <= {one.kind for one in found}
    for one in found:
        assert GUARDS.items() <= one.annotations.items(), one.key


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_secret_that_a_pod_mounts_is_made_by_somebody_and_listed(environment: str) -> None:
    made = resources(CATALOGUE, environment)
    cluster = CATALOGUE.cluster(environment)
    by_strimzi = {one.name for one in made if one.kind == "KafkaUser"} | {f"{cluster.name}-cluster-ca-cert"}
    guide = render(CATALOGUE, environment)[f"overlays/{environment}/README.md"]
    for one in made:
        if one.kind != "Deployment":
            continue
        pod = one.body["spec"]["template"]["spec"]
        mounted = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        for secret in mounted - by_strimzi:
            assert f"`{secret}`" in guide, f"{one.name} mounts {secret}, and nobody says who makes it"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_catalogue_of_ones_own_reaches_the_pods(environment: str) -> None:
    kinds = [one.kind for one in resources(CATALOGUE, environment, source="services: {}\n")]
    assert kinds.count("ConfigMap") == 1 + [one.kind for one in resources(CATALOGUE, environment)].count(
        "ConfigMap"
    )


@pytest.mark.parametrize("made", [resources, stream, render])
def test_two_resources_of_one_name_are_refused(made: Callable[[Catalogue, str], object]) -> None:
    """The later would replace the earlier: the growth journal would be a topic of the contract."""
    topic = CATALOGUE.topic("ml.model.events")
    journal = TopicName("trunkline.growth.journal")
    twins = replace(CATALOGUE, topics={**CATALOGUE.topics, journal: replace(topic, name=journal)})
    with pytest.raises(
        InvalidInput, match=r"makes KafkaTopic trunkline\.growth\.journal in .* 2 times; rename"
    ):
        made(twins, "production")
