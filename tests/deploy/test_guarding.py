"""Guards: what a GitOps tool must not delete."""

from trunkline.deploy.guarding import GUARDED, GUARDS, guarded
from trunkline.deploy.resource import Resource
from trunkline.deploy.text import document


def resource(kind: str, annotations: dict[str, str] | None = None) -> Resource:
    return Resource(api_version="v1", kind=kind, name="x", body={"spec": {}}, annotations=annotations or {})


def test_what_holds_data_is_guarded_and_says_why() -> None:
    for kind in GUARDED:
        made = guarded(resource(kind))
        assert made.annotations == GUARDS
        assert "# Deleting it deletes data" in document(made)


def test_its_own_annotations_stay() -> None:
    made = guarded(resource("KafkaTopic", annotations={"strimzi.io/managed": "true"}))
    assert made.annotations == {"strimzi.io/managed": "true", **GUARDS}


def test_what_holds_none_goes_with_the_service_that_goes() -> None:
    for kind in ("Deployment", "KafkaUser", "NetworkPolicy", "ScaledObject"):
        assert guarded(resource(kind)) == resource(kind)
