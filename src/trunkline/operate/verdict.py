"""What is known about a change before its risk is judged, and the judgement."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from trunkline.deploy.strimzi import CLUSTER_LABEL
from trunkline.operate.change import Risk
from trunkline.operate.manifests import Manifest

WITH_PODS: Final = frozenset({"Kafka", "Deployment"})
"""Kinds with pods that others are connected to, or that are connected themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A risk, one sentence about it and, for what `trunkline apply` cannot do, what a person does."""

    risk: Risk
    why: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The Kafka that a resource belongs to, as it was found; `is_there` is False before it is created.

    For what belongs to no Kafka it is whether anything in its namespace may be connected already.
    """

    is_there: bool = False
    has_cruise_control: bool = False
    broker_config: Mapping[str, Any] = field(default_factory=dict)


def surroundings(found: Iterable[Manifest]) -> dict[tuple[str, str], Surroundings]:
    """Of every Kafka among the resources, by its namespace and name; without a name, of a namespace."""
    around: dict[tuple[str, str], Surroundings] = {}
    for one in found:
        namespace = one["metadata"].get("namespace") or ""
        if one["kind"] in WITH_PODS:
            around[namespace, ""] = Surroundings(is_there=True)
        if one["kind"] == "Kafka":
            around[namespace, one["metadata"]["name"]] = Surroundings(
                is_there=True,
                has_cruise_control="cruiseControl" in _of(one, "spec"),
                broker_config=_of(_of(_of(one, "spec"), "kafka"), "config"),
            )
    return around


def cluster_of(manifest: Manifest) -> tuple[str, str]:
    """The namespace and name of the Kafka that a resource belongs to; its own of a Kafka."""
    metadata = manifest["metadata"]
    labels = metadata.get("labels") or {}
    name = metadata["name"] if manifest["kind"] == "Kafka" else labels.get(CLUSTER_LABEL, "")
    return metadata.get("namespace") or "", name


def _of(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A mapping inside of one; an empty one for what somebody has put there instead."""
    inner = tree.get(name)
    return inner if isinstance(inner, Mapping) else {}
