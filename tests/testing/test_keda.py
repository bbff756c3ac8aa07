"""The rules for KEDA: what it documents is taken, and what it would drop or refuse is a problem."""

import copy
import re
from typing import Any, Final

import pytest

from trunkline.testing.keda import keda_problems

TRIGGER: Final[dict[str, Any]] = {
    "type": "kafka",
    "metadata": {"bootstrapServers": "kafka:9093", "consumerGroup": "billing", "lagThreshold": "5"},
    "authenticationRef": {"name": "billing"},
}
SCALED: Final[dict[str, Any]] = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "billing"},
    "spec": {
        "scaleTargetRef": {"name": "billing"},
        "minReplicaCount": 1,
        "maxReplicaCount": 3,
        "triggers": [TRIGGER],
    },
}
AUTHENTICATION: Final[dict[str, Any]] = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "TriggerAuthentication",
    "metadata": {"name": "billing"},
    "spec": {
        "secretTargetRef": [
            {"parameter": "cert", "name": "billing", "key": "user.crt"},
            {"parameter": "key", "name": "billing", "key": "user.key"},
        ]
    },
}


def with_trigger(**parameters: Any) -> dict[str, Any]:
    return {"triggers": [{**TRIGGER, "metadata": {**TRIGGER["metadata"], **parameters}}]}


def test_what_the_documentation_shows_is_taken() -> None:
    assert keda_problems(SCALED) == []
    assert keda_problems(AUTHENTICATION) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"maxReplicas": 3}, "'maxReplicas' was unexpected"),
        ({"minReplicaCount": 4}, "minReplicaCount 4 is above maxReplicaCount 3"),
        ({"idleReplicaCount": 1}, "idleReplicaCount must be below"),
        ({"triggers": []}, "should be non-empty"),
        ({"fallback": {"failureThreshold": 3}}, "'replicas' is a required property"),
        (with_trigger(tls=True), "True is not one of"),
        (with_trigger(lagThreshold=5), "5 is not of type 'string'"),
        (with_trigger(version="4"), "does not match"),
        (with_trigger(group="billing"), "'group' was unexpected"),
        (with_trigger(limitToPartitionsWithLag="true"), "needs a topic"),
        (
            with_trigger(limitToPartitionsWithLag="true", allowIdleConsumers="true", topic="t"),
            "exclude each other",
        ),
    ],
)
def test_a_scaled_object_that_keda_would_misread_is_a_problem(change: dict[str, Any], why: str) -> None:
    manifest = copy.deepcopy(SCALED)
    manifest["spec"] |= change
    assert re.search(re.escape(why), "\n".join(keda_problems(manifest)))


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        (["cert"], "cert and key go together"),
        (["ca", "ca"], "ca is given twice"),
        (["password"], "username and password go together"),
        (["token"], "'token' is not one of"),
    ],
)
def test_an_authentication_that_the_scaler_would_refuse_is_a_problem(parameters: list[str], why: str) -> None:
    references = [{"parameter": one, "name": "billing", "key": "k"} for one in parameters]
    manifest = {**AUTHENTICATION, "spec": {"secretTargetRef": references}}
    assert re.search(re.escape(why), "\n".join(keda_problems(manifest)))


def test_another_kind_is_nothing_that_it_judges() -> None:
    assert keda_problems({**SCALED, "kind": "ScaledJob"}) == ["no rules for keda.sh/v1alpha1 ScaledJob"]
    assert keda_problems({**SCALED, "status": {}}) != []
