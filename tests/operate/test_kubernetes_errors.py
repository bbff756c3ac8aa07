"""What a Kubernetes API answers becomes one line that says what to do. The answers are those of 1.36."""

import json
from typing import Any

import pytest

from trunkline.errors import TrunklineError
from trunkline.operate.kubernetes_errors import (
    Call,
    KindMissing,
    KubernetesChanged,
    KubernetesConflict,
    KubernetesFailed,
    KubernetesForbidden,
    KubernetesRefused,
    KubernetesUnavailable,
    refusal,
)

CALL = Call(verb="patch", resource="kafkatopics.kafka.strimzi.io", namespace="n", subject="KafkaTopic t")


def of(code: int, message: str = "", **details: Any) -> TrunklineError:
    status = {"kind": "Status", "message": message, "details": details or None, "code": code}
    return refusal(CALL, code, json.dumps(status).encode())


def test_a_missing_right_is_named_with_its_verb() -> None:
    error = of(403, 'kafkatopics.kafka.strimzi.io "t" is forbidden: User "u" cannot patch resource')
    assert isinstance(error, KubernetesForbidden)
    assert (error.verb, error.resource, error.namespace) == ("patch", "kafkatopics.kafka.strimzi.io", "n")
    assert str(error).endswith('; grant the verb "patch" on kafkatopics.kafka.strimzi.io in namespace n')


def test_a_conflict_says_who_owns_which_field() -> None:
    cause = {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "kubectl-edit" using kafka.strimzi.io/v1',
        "field": ".spec.config.retention.ms",
    }
    error = of(409, "Apply failed with 1 conflict", causes=[cause])
    assert isinstance(error, KubernetesConflict)
    assert error.owners == {"spec.config.retention.ms": "kubectl-edit"}
    assert str(error) == (
        "KafkaTopic t: spec.config.retention.ms is owned by kubectl-edit; "
        "take the fields out of what that applies"
    )


def test_a_resource_that_was_changed_meanwhile_is_not_overwritten() -> None:
    error = of(409, "Operation cannot be fulfilled", name="t", kind="kafkatopics")
    assert isinstance(error, KubernetesChanged)
    assert str(error) == "KafkaTopic t: it has been changed meanwhile; look again"


def test_what_is_invalid_is_named_by_its_fields_and_a_few_are_enough() -> None:
    causes = [{"message": f"must be {number}", "field": f"spec.f{number}"} for number in range(5)]
    error = of(422, 'KafkaTopic "t" is invalid: ...', causes=causes)
    assert isinstance(error, KubernetesRefused)
    assert error.fields == ("spec.f0", "spec.f1", "spec.f2", "spec.f3", "spec.f4")
    assert str(error) == (
        "KafkaTopic t: the Kubernetes API refuses it: spec.f0: must be 0; spec.f1: must be 1; "
        "spec.f2: must be 2; and 2 more"
    )


def test_a_field_that_the_schema_does_not_know_is_refused_though_the_status_is_500() -> None:
    error = of(
        500,
        "failed to create typed patch object (n/t; kafka.strimzi.io/v1, Kind=KafkaTopic): "
        ".spec.foo: field not declared in schema",
    )
    assert isinstance(error, KubernetesRefused)
    assert error.fields == ("spec.foo",)
    assert str(error).endswith("refuses it: spec.foo: field not declared in schema")


def test_a_bad_request_without_causes_is_told_as_it_is() -> None:
    error = of(400, "the body of the request was empty")
    assert isinstance(error, KubernetesRefused)
    assert error.fields == ()


def test_a_missing_namespace_is_to_be_created() -> None:
    error = of(404, 'namespaces "n" not found', name="n", kind="namespaces")
    assert str(error) == "KafkaTopic t: there is no namespace n; create it first"


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_what_may_pass_is_unavailable(code: int) -> None:
    error = of(code, "later")
    assert isinstance(error, KubernetesUnavailable)
    assert error.exit_code == 4


def test_credentials_that_are_not_accepted_are_told_without_a_verb() -> None:
    assert "does not accept the credentials" in str(of(401, "Unauthorized"))


@pytest.mark.parametrize("body", [b"", b"404 page not found", b"[]", b'{"message": 5}', b"\xff"])
def test_an_answer_of_something_else_is_an_error_too(body: bytes) -> None:
    error = refusal(CALL, 418, body)
    assert type(error) is KubernetesFailed
    assert "the Kubernetes API answers with 418" in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("api_version", "what"),
    [
        ("kafka.strimzi.io/v1", "install Strimzi 1.2 first"),
        ("monitoring.coreos.com/v1", "install the Prometheus operator first"),
        ("keda.sh/v1alpha1", "install KEDA 2.17 or newer first"),
        ("other.io/v2", "install what brings the API other.io/v2 first"),
    ],
)
def test_a_kind_that_is_not_known_says_what_to_install(api_version: str, what: str) -> None:
    assert str(KindMissing(api_version, "K")).endswith(what)
