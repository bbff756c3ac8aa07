"""Whether a Kubernetes API would take a manifest and keep all of it, told without one.

Custom kinds are judged by their CRDs, Kubernetes' own by the schemas that `kubernetes-validate` has, both
with unknown fields refused; the metadata of all by the rules that the API server has in code.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import kubernetes_validate  # type: ignore[import-untyped]  # ships no types

from trunkline.testing.crd import Json, Place, judges

VERSIONS: Final = ("1.30", "1.37")
"""The oldest Kubernetes that Strimzi 1.2 runs on, and the newest whose schemas there are."""

ANNOTATION_BYTES_MAX: Final = 262_144
"""Of all annotations together: what the API server takes."""

NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
SUBDOMAIN_MAX: Final = 253
QUALIFIED_NAME: Final = re.compile(r"(?:([a-z0-9.-]{1,253})/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?")
LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?")

METADATA: Final = frozenset({"name", "namespace", "labels", "annotations", "finalizers", "ownerReferences"})
"""What a manifest may say; the rest of the metadata is the server's."""


def problems(manifest: Mapping[str, Any], schemas: Path) -> list[str]:
    """What is wrong with the manifest, one line each with its place; empty for one that is kept whole.

    `schemas` is a directory with CRDs as YAML, at any depth. A kind that neither they nor Kubernetes have is
    a problem too: nobody has looked at it.
    """
    whole = dict(manifest)
    api_version, kind = whole.get("apiVersion"), whole.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return ["apiVersion and kind: must be texts"]
    judge = judges(schemas).get((api_version, kind))
    found = [*_metadata(whole.get("metadata"))]
    found += _built_in(whole) if judge is None else judge.violations(whole)
    return sorted({f"{_shown(place)}: {message}" for place, message in found})


def _shown(place: Place) -> str:
    """`spec.kafka.listeners[0].port`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".") or "the manifest"


def _built_in(manifest: Json) -> Iterator[tuple[Place, str]]:
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield tuple(error.absolute_path), f"{error.message} (Kubernetes {version})"
        except kubernetes_validate.SchemaNotFoundError:
            yield (
                ("kind",),
                f"no schema for {manifest['apiVersion']} {manifest['kind']} in Kubernetes {version}",
            )


def _metadata(metadata: Any) -> Iterator[tuple[Place, str]]:
    if not isinstance(metadata, dict):
        yield ("metadata",), "must be a mapping"
        return
    for field in sorted(set(metadata) - METADATA):
        yield ("metadata", field), "is not for a manifest to say"
    name = metadata.get("name")
    if not isinstance(name, str) or len(name) > SUBDOMAIN_MAX or not SUBDOMAIN.fullmatch(name):
        yield ("metadata", "name"), f"{name!r} is not a DNS-1123 subdomain"
    namespace = metadata.get("namespace")
    if namespace is not None and not (isinstance(namespace, str) and NAMESPACE.fullmatch(namespace)):
        yield ("metadata", "namespace"), f"{namespace!r} is not a DNS-1123 label"
    yield from _names(metadata, "labels")
    yield from _names(metadata, "annotations")
    for label, value in _mapping(metadata.get("labels")).items():
        if isinstance(value, str) and not LABEL_VALUE.fullmatch(value):
            yield ("metadata", "labels", label), f"{value!r} is no label value"
    size = sum(
        len(f"{name}{value}".encode()) for name, value in _mapping(metadata.get("annotations")).items()
    )
    if size > ANNOTATION_BYTES_MAX:
        yield ("metadata", "annotations"), f"{size} bytes are more than {ANNOTATION_BYTES_MAX}"


def _names(metadata: Json, of: str) -> Iterator[tuple[Place, str]]:
    if not isinstance(metadata.get(of, {}), dict):
        yield ("metadata", of), "must be a mapping"
    for name, value in _mapping(metadata.get(of)).items():
        if not QUALIFIED_NAME.fullmatch(name):
            yield ("metadata", of, name), "is no qualified name"
        if not isinstance(value, str):
            yield ("metadata", of, name), f"{value!r} is not a text"


def _mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
