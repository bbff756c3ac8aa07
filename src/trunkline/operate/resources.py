"""The catalogue's resources against those that were found, in files or in a Kubernetes API: pure."""

import json
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

from trunkline.deploy.labels import ALL_SERVICES, PART_OF
from trunkline.deploy.resource import Resource
from trunkline.deploy.strimzi import CLUSTER_LABEL
from trunkline.operate.change import ABSENT, Change, Layer, Verb
from trunkline.operate.difference import Difference, Nothing, differences
from trunkline.operate.folding import unfolded
from trunkline.operate.manifests import Key, Manifest, key_of
from trunkline.operate.resource_risk import creation, deletion, verdict
from trunkline.operate.verdict import Surroundings, Verdict, cluster_of, surroundings

OF_CLUSTER: Final = frozenset({"KafkaTopic", "KafkaUser", "KafkaNodePool"})
"""Kinds whose label ties them to a cluster, and so to the catalogue. Operators make no such resources."""

THERE: Final = "there"
"""How a whole resource is shown that is there, or shall be."""

SHOWN_MAX: Final = 72
"""Characters of a value; a longer one is counted instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A difference with its verdict."""

    difference: Difference
    verdict: Verdict


def resource_changes(wanted: Iterable[Resource], found: Mapping[Key, Manifest]) -> list[Change]:
    """Everything that has to be done to what was found, in the order of the wanted resources.

    A missing resource is one change, every field that differs another. A found resource that is ours by its
    labels, and that the catalogue does not know, is a change with a remedy: nothing is ever deleted.
    """
    around = surroundings(found.values())
    listed = list(wanted)
    changes = [change for one in listed for change in _of_one(one, found.get(one.key), around)]
    return changes + former_changes(listed, found)


def former_changes(wanted: Iterable[Resource], found: Mapping[Key, Manifest]) -> list[Change]:
    """The found resources that are ours and not wanted: each a change with a remedy."""
    listed = list(wanted)
    known = {one.key for one in listed}
    clusters = {cluster_of(one.manifest()) for one in listed if one.kind == "Kafka"}
    return [
        _change(manifest, Verb.DELETE, deletion(manifest), found=THERE)
        for key, manifest in sorted(found.items())
        if key not in known and is_ours(manifest, clusters)
    ]


def judged(wanted: Manifest, found: Manifest, around: Surroundings) -> list[Judged]:
    """Every difference of one resource, with what mending it risks."""
    return [
        Judged(difference=one, verdict=verdict(one, wanted, found, around))
        for one in differences(wanted, found)
    ]


def change_of(manifest: Manifest, one: Judged) -> Change:
    """A difference of this resource as a change."""
    difference = one.difference
    verb = Verb.ALTER
    if isinstance(difference.found, Nothing):
        verb = Verb.CREATE
    elif isinstance(difference.wanted, Nothing):
        verb = Verb.DELETE
    return _change(
        manifest,
        verb,
        one.verdict,
        field=difference.field,
        found=shown(difference.found),
        wanted=shown(difference.wanted),
    )


def creation_of(manifest: Manifest, around: Surroundings) -> Change:
    """A resource that is missing, as a change."""
    return _change(manifest, Verb.CREATE, creation(manifest, around), wanted=THERE)


def is_ours(manifest: Manifest, clusters: Set[tuple[str, str]]) -> bool:
    """Whether the resource's labels say that it is the catalogue's, of one of these clusters."""
    labels = manifest["metadata"].get("labels") or {}
    if manifest["kind"] in OF_CLUSTER:
        return CLUSTER_LABEL in labels and cluster_of(manifest) in clusters
    return bool(labels.get(PART_OF) == ALL_SERVICES[PART_OF])


def around_of(manifest: Manifest, known: Mapping[tuple[str, str], Surroundings]) -> Surroundings:
    """The surroundings of a resource; empty ones where its Kafka is not there."""
    return known.get(cluster_of(manifest), Surroundings())


def shown(value: Any) -> str:
    """A value in a few characters."""
    if isinstance(value, Nothing):
        return ABSENT
    plain = unfolded(value)
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    if len(text) <= SHOWN_MAX and "\n" not in text:
        return text
    if isinstance(plain, str):
        return f"{' '.join(text[:SHOWN_MAX].split())}… ({len(text)} characters)"
    part = "field" if isinstance(plain, dict) else "item"
    return f"{len(plain)} {part}{'' if len(plain) == 1 else 's'}"


def _of_one(
    wanted: Resource, found: Manifest | None, known: Mapping[tuple[str, str], Surroundings]
) -> Iterator[Change]:
    manifest = wanted.manifest()
    around = around_of(manifest, known)
    if found is None:
        yield creation_of(manifest, around)
        return
    for one in judged(manifest, found, around):
        yield change_of(manifest, one)


def _change(
    manifest: Manifest,
    verb: Verb,
    judgement: Verdict,
    *,
    field: str = "",
    found: str = ABSENT,
    wanted: str = ABSENT,
) -> Change:
    _, kind, namespace, name = key_of(manifest)
    return Change(
        layer=Layer.RESOURCE,
        verb=verb,
        kind=kind,
        name=f"{namespace}/{name}" if namespace else name,
        risk=judgement.risk,
        why=judgement.why,
        field=field,
        found=found,
        wanted=wanted,
        remedy=judgement.remedy,
    )
