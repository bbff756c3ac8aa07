"""The CustomResourceDefinitions that a Kubernetes API needs for what we render.

Strimzi's and the Prometheus operator's are read from their files. KEDA's are made of what `testing.keda`
knows of its fields, so that an API server, too, refuses any other.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from trunkline.testing.keda import API_VERSION, SPECS

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FREE: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def definitions(schemas: Path | None) -> Iterator[dict[str, Any]]:
    """KEDA's, and those of all YAML files below a directory."""
    for kind, spec in SPECS.items():
        yield _definition(kind, spec)
    for file in sorted(schemas.rglob("*.yaml")) if schemas is not None else ():
        for document in yaml.load_all(file.read_text(encoding="utf-8"), Loader=_LOADER):
            if document is not None and document.get("kind") == "CustomResourceDefinition":
                yield document


def _definition(kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    group, _, version = API_VERSION.partition("/")
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "properties": {"spec": _structural(spec), "status": _FREE}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _structural(schema: Mapping[str, Any]) -> dict[str, Any]:
    """As Kubernetes wants schemas: a type everywhere; unknown fields are refused without being mentioned."""
    if "properties" in schema:
        fields = {name: _structural(inner) for name, inner in schema["properties"].items()}
        needed = {"required": schema["required"]} if schema["required"] else {}
        return {"type": "object", "properties": fields, **needed}
    if "const" in schema:
        return {"type": "string", "enum": [schema["const"]]}
    if schema.get("type") == "object":
        return dict(_FREE)
    if schema.get("type") == "array":
        return {**schema, "items": _structural(schema["items"])}
    return {"type": "string", **schema}
