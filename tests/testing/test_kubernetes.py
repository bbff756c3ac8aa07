"""The judge of manifests: what an API server would refuse or silently drop is a problem, with its place."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from trunkline.testing.kubernetes import problems

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: pools.example.org}
spec:
  group: example.org
  names: {kind: Pool}
  versions:
    - name: v1
      served: true
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            apiVersion: {type: string}
            kind: {type: string}
            metadata: {type: object}
            spec:
              type: object
              required: [replicas]
              properties:
                replicas: {type: integer, minimum: 0, exclusiveMinimum: true}
                limit: {x-kubernetes-int-or-string: true}
                free: {type: object, x-kubernetes-preserve-unknown-fields: true}
                labels: {type: object, additionalProperties: {type: string}}
                empty: {type: object, properties: }
                rack:
                  type: object
                  properties: {type: {type: string}, key: {type: string}}
                  x-kubernetes-validations:
                    - {rule: 'self.type != "label" || self.key != ""', message: a label needs a key}
                groups:
                  type: array
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [name]
                  items:
                    type: object
                    properties: {name: {type: string}}
    - {name: v1beta1, served: false, schema: {openAPIV3Schema: {type: object}}}
"""

POOL: dict[str, Any] = {
    "apiVersion": "example.org/v1",
    "kind": "Pool",
    "metadata": {
        "name": "a.b",
        "namespace": "c",
        "labels": {"example.org/x": "Y_1"},
        "annotations": {"z": ""},
    },
    "spec": {
        "replicas": 1,
        "limit": "1Gi",
        "free": {"any": [{"thing": 1}]},
        "labels": {"a": "b"},
        "empty": {},
        "rack": {"type": "label", "key": "zone"},
        "groups": [{"name": "a"}, {"name": "b"}],
    },
}


@pytest.fixture(scope="module")
def crds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one CRD, a level down."""
    directory = tmp_path_factory.mktemp("schemas")
    (directory / "example").mkdir()
    (directory / "example" / "pool.yaml").write_text(CRD)
    return directory


def changed(at: str, value: Any) -> dict[str, Any]:
    pool = copy.deepcopy(POOL)
    *outer, last = at.split(".")
    place = pool
    for name in outer:
        place = place[name]
    place[last] = value
    return pool


def test_a_manifest_that_is_kept_whole_has_no_problems(crds: Path) -> None:
    assert problems(POOL, crds) == []


@pytest.mark.parametrize(
    ("at", "value", "told"),
    [
        ("spec.unknown", 1, "spec: Additional properties are not allowed ('unknown' was unexpected)"),
        ("spec.empty.x", 1, "spec.empty: Additional properties are not allowed ('x' was unexpected)"),
        ("spec.groups", [{"nam": "a"}], "spec.groups[0]: Additional properties are not allowed ('nam' was "),
        ("spec.labels.a", 1, "spec.labels.a: 1 is not of type 'string'"),
        ("spec.limit", 1.5, "spec.limit: 1.5 is not of type 'integer', 'string'"),
        ("spec.replicas", 0, "spec.replicas: 0 is less than or equal to the minimum of 0"),
        ("spec", {}, "spec: 'replicas' is a required property"),
        ("spec.rack.key", "", "spec.rack: a label needs a key"),
        ("spec.rack", {"type": "label"}, "spec.rack: a label needs a key"),
        ("spec.groups", [{"name": "a"}, {"name": "a"}], "spec.groups[1]: duplicate of an earlier item"),
        ("kind", "Puddle", "kind: no schema for example.org/v1 Puddle"),
        ("apiVersion", "example.org/v1beta1", "kind: no schema for example.org/v1beta1 Pool"),
        ("apiVersion", None, "apiVersion and kind: must be texts"),
        ("metadata.name", "A_b", "metadata.name: 'A_b' is not a DNS-1123 subdomain"),
        ("metadata.namespace", "a.b", "metadata.namespace: 'a.b' is not a DNS-1123 label"),
        ("metadata.uid", "1", "metadata.uid: is not for a manifest to say"),
        ("metadata.labels", {"a": "b c"}, "metadata.labels.a: 'b c' is no label value"),
        ("metadata.labels", {"a/b/c": "d"}, "metadata.labels.a/b/c: is no qualified name"),
        ("metadata.annotations", {"a": True}, "metadata.annotations.a: True is not a text"),
        ("metadata.annotations", {"a": "x" * 262_144}, "metadata.annotations: 262145 bytes are more than"),
        ("metadata", None, "metadata: must be a mapping"),
    ],
)
def test_what_the_api_would_refuse_or_drop_is_told(crds: Path, at: str, value: Any, told: str) -> None:
    found = problems(changed(at, value), crds)
    assert [line for line in found if line.startswith(told)], found


def test_kubernetes_own_kinds_are_judged_by_the_oldest_and_the_newest_version(tmp_path: Path) -> None:
    policy = yaml.safe_load(
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a},"
        " spec: {podSelector: {}, ingres: []}}"
    )
    refused = "spec: Additional properties are not allowed ('ingres' was unexpected)"
    assert problems(policy, tmp_path) == [f"{refused} (Kubernetes 1.30)", f"{refused} (Kubernetes 1.37)"]
    policy["spec"] = {"podSelector": {}}
    assert problems(policy, tmp_path) == []
