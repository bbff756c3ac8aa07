"""What an environment has on a real Kubernetes API, and `plan` and `apply` of it as a person runs them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.model import Catalogue
from trunkline.cli.main import run
from trunkline.deploy.rendering import resources
from trunkline.operate.inventory import inventory
from trunkline.operate.kubernetes import KubernetesApi
from trunkline.testing.kube_api import KubernetesServer
from trunkline.testing.kube_people import Somebody

pytestmark = pytest.mark.slow

CONTRACT = Path(__file__).parents[2] / "src" / "trunkline" / "catalogue" / "contract.yaml"
Call = Callable[..., tuple[int, Any]]


@pytest.fixture
def catalogue_file(tmp_path: Path, namespace: str) -> Path:
    """The packaged catalogue with everything in a namespace of the test's own."""
    text = CONTRACT.read_text(encoding="utf-8").replace("namespace: trunkline\n", f"namespace: {namespace}\n")
    file = tmp_path / "contract.yaml"
    file.write_text(text.replace("namespace: monitoring\n", f"namespace: {namespace}\n"), encoding="utf-8")
    return file


@pytest.fixture
def catalogue(catalogue_file: Path) -> Catalogue:
    return load_catalogue(catalogue_file)


@pytest.fixture
def trunkline(
    catalogue_file: Path, kubernetes_server: KubernetesServer, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Runs `plan` or `apply` and gives exit code and JSON."""

    def call(command: str, *options: str) -> tuple[int, Any]:
        capsys.readouterr()
        kubeconfig = str(kubernetes_server.kubeconfig())
        where = ("--kubernetes", "--kubeconfig", kubeconfig, "--catalogue", str(catalogue_file), "--json")
        code = run([command, "-e", "production", *where, *options])
        return code, json.loads(capsys.readouterr().out)

    return call


def edited(changes: list[dict[str, str]]) -> dict[str, str]:
    """What differs from the catalogue, without what only an operator could do: none runs here."""
    return {
        f"{change['kind']} {change['name'].partition('/')[2]} {change['field']}".strip(): change["risk"]
        for change in changes
        if change["field"] != "status"
    }


def test_an_environment_is_applied_whole_and_then_nothing_differs(
    trunkline: Call, api: KubernetesApi, catalogue: Catalogue
) -> None:
    wanted = resources(catalogue, "production")
    code, told = trunkline("apply")
    assert (code, told["failed"], told["left"]) == (0, 0, 0)
    assert inventory(api, wanted).keys() >= {one.key for one in wanted}
    code, planned = trunkline("plan", "--offline")
    assert edited(planned["changes"]) == {}
    assert code == 3  # no operator has looked at anything here, and that is said
    assert trunkline("apply") == (0, {**told, "done": 0, "changes": []})


def test_what_is_applied_is_told_of_the_resources_and_not_of_what_operators_do(
    catalogue_file: Path, kubernetes_server: KubernetesServer, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--kubeconfig", str(kubernetes_server.kubeconfig()), "--catalogue", str(catalogue_file)]
    told = []
    for _ in range(2):
        assert run(["apply", "-e", "production", "--kubernetes", *where]) == 0
        told.append(capsys.readouterr().out.splitlines()[-1])
    rest = (
        ", the resources are as the catalogue says; `trunkline plan` tells whether the operators have done it"
    )
    assert told[0].endswith(f" done{rest}")
    assert told[1] == f"production: nothing to do{rest}"


def test_a_topic_s_resource_that_was_deleted_comes_back_where_that_is_allowed(
    trunkline: Call, api: KubernetesApi, catalogue: Catalogue, somebody: Somebody
) -> None:
    trunkline("apply")
    topic = next(one for one in resources(catalogue, "production") if one.name == "ai.agent.events")
    somebody.delete(topic.manifest())
    code, told = trunkline("apply")
    assert (code, told["done"], told["left"]) == (3, 0, 1)
    assert "partitions may be added, retention cut" in told["changes"][0]["because"]
    code, told = trunkline("apply", "--allow", "loses-data")
    assert (code, told["done"], told["left"]) == (0, 1, 0)
    assert topic.key in api.read([topic.key])


def test_what_somebody_edited_is_named_and_what_is_safe_is_written_back(
    trunkline: Call, api: KubernetesApi, catalogue: Catalogue, namespace: str
) -> None:
    trunkline("apply")
    topic = next(one for one in resources(catalogue, "production") if one.name == "ai.agent.events")
    found = api.read([topic.key])[topic.key]
    spec = {"partitions": 7, "config": {"retention.ms": 1000, "segment.ms": 60_000}}
    api.merge(found, {"spec": spec})
    foreign = {**topic.manifest(), "metadata": {**found["metadata"], "name": "shop.orders"}}
    metadata = {"name": "shop.orders", "namespace": namespace, "labels": found["metadata"]["labels"]}
    api.apply({**foreign, "metadata": metadata})

    code, planned = trunkline("plan", "--offline")
    assert code == 3
    assert edited(planned["changes"]) == {
        "KafkaTopic ai.agent.events spec.config.retention.ms": "safe",
        "KafkaTopic ai.agent.events spec.config.segment.ms": "safe",
        "KafkaTopic ai.agent.events spec.partitions": "breaks-key-order",
        "KafkaTopic shop.orders": "loses-data",
    }

    code, told = trunkline("apply", "--allow", "loses-data")
    assert (code, told["done"], told["left"], told["failed"]) == (3, 2, 2, 0)
    after = api.read([topic.key])[topic.key]["spec"]
    assert after["config"]["retention.ms"] == 2_592_000_000
    assert "segment.ms" not in after["config"]
    assert after["partitions"] == 7
    assert (topic.api_version, "KafkaTopic", namespace, "shop.orders") in inventory(api, [topic])
