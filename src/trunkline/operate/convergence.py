"""Whether operators have done what resources say, as far as the resources' own status tells: pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from trunkline.deploy.strimzi import API_VERSION as STRIMZI
from trunkline.operate.change import Change, Layer, Risk, Verb
from trunkline.operate.manifests import Manifest, key_of
from trunkline.operate.resources import shown

CONDITIONS: Final = {
    "Kafka": "Ready",
    "KafkaTopic": "Ready",
    "KafkaUser": "Ready",
    "KafkaNodePool": "",
    "Deployment": "Available",
    "ScaledObject": "Ready",
}
"""Kinds whose status somebody keeps, and the condition that has to be true; a pool has none of its own."""

PAUSE: Final = "strimzi.io/pause-reconciliation"
UNPAUSE: Final = f"take the annotation {PAUSE} away, unless a `trunkline topics grow` is at work"
"""A growth pauses the operator, which would lift the fence otherwise."""

MANAGED: Final = "strimzi.io/managed"

NOT_SEEN: Final = "the operator has not looked at it"
DELETED: Final = "it is being deleted"
FINALIZERS: Final = "if it stays so, its metadata.finalizers say whom it waits for"
BEHIND: Final = "the operator has not converged: it has not done the last change yet"


def convergence(found: Iterable[Manifest]) -> list[Change]:
    """Every resource whose operator has not done what it says, with the reason; `apply` mends none of them.

    A status comes from an API only: manifests from files look as if no operator had seen them.
    """
    return [change for manifest in found for change in _of_one(manifest)]


def _of_one(manifest: Manifest) -> Iterator[Change]:
    kind = manifest["kind"]
    if manifest["metadata"].get("deletionTimestamp"):
        yield _told(manifest, DELETED, f"wait until it is gone, then apply again; {FINALIZERS}")
        return
    if kind not in CONDITIONS:
        return
    annotations = manifest["metadata"].get("annotations") or {}
    if manifest["apiVersion"] == STRIMZI:
        if str(annotations.get(PAUSE)).lower() == "true":
            yield _told(manifest, "the operator is paused", UNPAUSE)
            return
        if kind == "KafkaTopic" and annotations.get(MANAGED) == "false":
            yield _told(
                manifest, "the topic operator does not manage it", f"take the annotation {MANAGED} away"
            )
            return
    status = manifest.get("status") or {}
    if reason := _reason(manifest, status, CONDITIONS[kind]):
        _, _, namespace, name = key_of(manifest)
        where = f" --namespace {namespace}" if namespace else ""
        yield _told(manifest, reason, f"wait; if it stays so: kubectl describe {kind.lower()} {name}{where}")


def _reason(manifest: Manifest, status: Mapping[str, Any], wanted: str) -> str:
    """Why the status is not as it should be; empty if it is."""
    conditions = {one.get("type"): one for one in status.get("conditions") or ()}
    if not status or (wanted and not conditions):
        return NOT_SEEN
    seen, generation = status.get("observedGeneration"), manifest["metadata"].get("generation")
    if seen is not None and generation is not None and seen < generation:
        return BEHIND
    condition = conditions.get(wanted, {})
    if not wanted or condition.get("status") == "True":
        return ""
    told = [condition.get("reason"), condition.get("message")]
    why = ": ".join(shown(" ".join(str(text).split())) for text in told if text) or f"it is not {wanted}"
    return f"the operator has not converged: {why}"


def _told(manifest: Manifest, reason: str, remedy: str) -> Change:
    _, kind, namespace, name = key_of(manifest)
    return Change(
        layer=Layer.RESOURCE,
        verb=Verb.ALTER,
        kind=kind,
        name=f"{namespace}/{name}" if namespace else name,
        risk=Risk.SAFE,
        why="what the resource says need not be so on the cluster",
        field="status",
        found=reason,
        wanted=CONDITIONS.get(kind) or "settled",
        remedy=remedy,
    )
