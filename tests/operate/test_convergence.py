"""A resource's status says whether its operator has done what the resource says."""

from typing import Any

import pytest

from trunkline.operate.convergence import convergence
from trunkline.operate.kubernetes import KubernetesApi
from trunkline.operate.manifests import key_of
from trunkline.testing.kube_people import Somebody

READY = {"conditions": [{"type": "Ready", "status": "True"}], "observedGeneration": 3}


def resource(kind: str, status: Any = None, **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1" if kind == "Deployment" else "kafka.strimzi.io/v1",
        "kind": kind,
        "metadata": {
            "name": "x",
            "namespace": "n",
            "generation": 3,
            "annotations": {
                f"strimzi.io/{name.replace('_', '-')}": value for name, value in annotations.items()
            },
        },
        **({} if status is None else {"status": status}),
    }


def deleted(kind: str) -> dict[str, Any]:
    made = resource(kind, READY)
    made["metadata"]["deletionTimestamp"] = "2026-11-24T00:00:00Z"
    return made


def not_ready(kind: str, **more: Any) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": "False", **more}], "observedGeneration": 3}


@pytest.mark.parametrize("kind", ["Kafka", "KafkaTopic", "KafkaUser"])
def test_what_is_ready_in_its_last_generation_has_converged(kind: str) -> None:
    assert convergence([resource(kind, READY)]) == []


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (resource("KafkaTopic"), "the operator has not looked at it"),
        (resource("KafkaTopic", {}), "the operator has not looked at it"),
        (resource("KafkaTopic", {"observedGeneration": 3}), "the operator has not looked at it"),
        (resource("KafkaNodePool"), "the operator has not looked at it"),
        (
            resource("KafkaTopic", {**READY, "observedGeneration": 2}),
            "the operator has not converged: it has not done the last change yet",
        ),
        (
            resource(
                "KafkaTopic", not_ready("Ready", reason="NotSupported", message="Decreasing\npartitions")
            ),
            "the operator has not converged: NotSupported: Decreasing partitions",
        ),
        (resource("KafkaUser", not_ready("Ready")), "the operator has not converged: it is not Ready"),
        (
            resource("Deployment", not_ready("Available", reason="MinimumReplicasUnavailable")),
            "the operator has not converged: MinimumReplicasUnavailable",
        ),
        (resource("KafkaTopic", READY, pause_reconciliation="true"), "the operator is paused"),
        (deleted("KafkaTopic"), "it is being deleted"),
        (deleted("Service"), "it is being deleted"),
        (resource("KafkaTopic", READY, managed="false"), "the topic operator does not manage it"),
    ],
)
def test_what_has_not_converged_is_told_with_the_reason(manifest: dict[str, Any], told: str) -> None:
    (change,) = convergence([manifest])
    assert (change.name, change.field, change.found) == ("n/x", "status", told)
    assert change.remedy


def test_a_pool_has_converged_when_it_was_seen_and_other_kinds_have_no_say() -> None:
    pool = resource("KafkaNodePool", {"observedGeneration": 3, "nodeIds": [0]})
    assert convergence([pool, resource("Service"), resource("KafkaRebalance")]) == []


@pytest.mark.parametrize("value", ["true", "True", "TRUE"])
def test_who_finds_a_paused_operator_is_told_not_to_open_a_topic_that_grows(value: str) -> None:
    (change,) = convergence([resource("KafkaTopic", READY, pause_reconciliation=value)])
    assert change.remedy.startswith("take the annotation strimzi.io/pause-reconciliation away")
    assert change.remedy.endswith("unless a `trunkline topics grow` is at work")


def test_the_remedy_says_how_to_look() -> None:
    (change,) = convergence([resource("KafkaTopic")])
    assert change.remedy == "wait; if it stays so: kubectl describe kafkatopic x --namespace n"


@pytest.mark.slow
def test_a_real_resource_has_converged_once_its_operator_has_seen_its_last_generation(
    api: KubernetesApi, somebody: Somebody, namespace: str
) -> None:
    topic: dict[str, Any] = {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaTopic",
        "metadata": {"name": "t", "namespace": namespace},
        "spec": {"partitions": 1},
    }

    def told() -> list[str]:
        return [change.found for change in convergence(api.read([key_of(topic)]).values())]

    api.apply(topic)
    assert told() == ["the operator has not looked at it"]
    somebody.set_status(topic, {**READY, "observedGeneration": 1})
    assert told() == []
    api.apply({**topic, "spec": {"partitions": 2}})
    assert told() == ["the operator has not converged: it has not done the last change yet"]
    somebody.edit(topic, {"metadata": {"finalizers": ["strimzi.io/topic-operator"]}})
    somebody.delete(topic)
    assert told() == ["it is being deleted"]
