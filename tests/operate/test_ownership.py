"""The API server's notes say which fields an earlier apply has set. The notes are those of 1.36."""

from typing import Any

from trunkline.operate.folding import folded
from trunkline.operate.ownership import applied_fields, fields_below, is_applied

PORT = 'k:{"containerPort":9100,"protocol":"TCP"}'
FIELDS = {
    "f:metadata": {"f:labels": {"f:app.kubernetes.io/name": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:ports": {PORT: {".": {}, "f:name": {}}},
        "f:others": {'k:{"name":"a"}': {"f:x": {}}},
    },
}
MANIFEST: dict[str, Any] = {
    "metadata": {"labels": {"app.kubernetes.io/name": "x", "theirs": "y"}},
    "spec": {
        "replicas": 1,
        "minReadySeconds": 5,
        "ports": [
            {"name": "metrics", "containerPort": 9100, "protocol": "TCP"},
            {"name": "other", "containerPort": 9100, "protocol": "UDP"},
        ],
        "others": [{"name": "a", "x": 1}],
    },
}


def noted(**entry: Any) -> dict[str, Any]:
    return {"metadata": {"managedFields": [{"manager": "kubectl", "operation": "Update"}, entry]}}


def test_only_our_applies_count() -> None:
    assert applied_fields(noted(manager="trunkline", operation="Apply", fieldsV1=FIELDS)) == FIELDS
    assert applied_fields(noted(manager="trunkline", operation="Update", fieldsV1=FIELDS)) == {}
    assert applied_fields(noted(manager="other", operation="Apply", fieldsV1=FIELDS)) == {}
    assert applied_fields({"metadata": {}}) == {}


def test_fields_are_found_by_name_and_items_by_their_keys() -> None:
    made = folded(MANIFEST)
    spec = fields_below(FIELDS, "spec", made)
    assert is_applied(spec, "replicas", made["spec"])
    assert not is_applied(spec, "minReadySeconds", made["spec"])
    ports = fields_below(spec, "ports", made["spec"])
    assert is_applied(ports, "metrics", made["spec"]["ports"])
    assert not is_applied(ports, "other", made["spec"]["ports"])
    labels = fields_below(fields_below(FIELDS, "metadata", made), "labels", made["metadata"])
    assert is_applied(labels, "app.kubernetes.io/name", made["metadata"]["labels"])
    assert not is_applied(labels, "theirs", made["metadata"]["labels"])


def test_an_item_with_a_field_of_ours_is_not_itself_ours() -> None:
    made = folded(MANIFEST)
    others = fields_below(fields_below(FIELDS, "spec", made), "others", made["spec"])
    assert not is_applied(others, "a", made["spec"]["others"])
    assert fields_below(others, "a", made["spec"]["others"]) == {"f:x": {}}
