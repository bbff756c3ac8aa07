"""Applying the catalogue's resources to a Kubernetes API: what is allowed, field by field. Never deletes."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

from trunkline.deploy.resource import Resource
from trunkline.deploy.strimzi import API_VERSION as STRIMZI
from trunkline.operate.change import Change, Risk
from trunkline.operate.difference import left_as_found, removals
from trunkline.operate.kubernetes import KubernetesApi
from trunkline.operate.kubernetes_errors import KubernetesFailed
from trunkline.operate.manifests import Key, Manifest
from trunkline.operate.resource_risk import creation
from trunkline.operate.resources import Judged, around_of, change_of, creation_of, judged
from trunkline.operate.verdict import Surroundings, Verdict, surroundings

ORDER: Final = (
    "Namespace",
    "CustomResourceDefinition",
    "ServiceAccount",
    "ConfigMap",
    "PersistentVolumeClaim",
    "NetworkPolicy",
    # The operator waits for pools when it sees a Kafka, and complains until they are there.
    "KafkaNodePool",
    "Kafka",
    "KafkaTopic",
    "KafkaUser",
    "Service",
    "Deployment",
    "TriggerAuthentication",
)
"""What others need comes first; kinds that are not named here come last, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A resource that could not be applied: its changes, and what the server said."""

    changes: tuple[Change, ...]
    error: KubernetesFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was changed, what was left because it is not allowed or is for people, and what failed."""

    done: tuple[Change, ...]
    left: tuple[Change, ...]
    failed: tuple[Failure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One resource to apply, as far as it is allowed; no `done` means that nothing of it is."""

    manifest: Manifest
    found: Manifest | None
    done: tuple[Change, ...] = ()
    left: tuple[Change, ...] = ()


def apply_order(key: Key) -> tuple[int, Key]:
    """Sorts resources so that each comes after those that it needs."""
    kind = key[1]
    return ORDER.index(kind) if kind in ORDER else len(ORDER), key


def apply_resources(
    api: KubernetesApi,
    wanted: Iterable[Resource],
    found: Mapping[Key, Manifest],
    *,
    allowed: Set[Risk],
    force: bool,
) -> Outcome:
    """Make the API's resources as the catalogue says, as far as `allowed`; what is safe always is.

    `found` is what `api` has of them. A field whose change is not allowed, or is for people to do, keeps the
    value that was found, and the rest of its resource is applied. `force` takes over fields that somebody
    else has set. What the server refuses of one resource does not keep the others from being applied.

    Raises what a `KubernetesApi` does where nobody answers; what was done until then stays, and a second call
    with what is there then does the rest.
    """
    around = surroundings(found.values())
    permitted = frozenset({Risk.SAFE, *allowed})
    done: list[Change] = []
    left: list[Change] = []
    failed: list[Failure] = []
    for resource in sorted(wanted, key=lambda one: apply_order(one.key)):
        step = _step(resource.manifest(), found.get(resource.key), around, permitted)
        left += step.left
        if not step.done:
            continue
        try:
            _apply(api, step, force=force)
        except KubernetesFailed as error:
            failed.append(Failure(changes=step.done, error=error))
        else:
            done += step.done
    return Outcome(done=tuple(done), left=tuple(left), failed=tuple(failed))


def _step(
    wanted: Manifest,
    found: Manifest | None,
    known: Mapping[tuple[str, str], Surroundings],
    permitted: Set[Risk],
) -> _Step:
    around = around_of(wanted, known)
    if found is None:
        change = creation_of(wanted, around)
        if _is_permitted(creation(wanted, around), permitted):
            return _Step(manifest=wanted, found=None, done=(change,))
        return _Step(manifest=wanted, found=None, left=(change,))
    every = judged(wanted, found, around)
    kept = [one for one in every if not _is_permitted(one.verdict, permitted)]
    return _Step(
        manifest=left_as_found(wanted, [one.difference for one in kept]) if kept else wanted,
        found=found,
        done=_changes(wanted, [one for one in every if one not in kept]),
        left=_changes(wanted, kept),
    )


def _apply(api: KubernetesApi, step: _Step, *, force: bool) -> None:
    applied = api.apply(_guarded(step), force=force)
    # What others have added stays after an apply, also where it must not.
    if patch := removals(step.manifest, applied):
        api.merge(applied, patch)


def _guarded(step: _Step) -> Manifest:
    """The manifest, refused if somebody has changed the resource since it was judged.

    Only of Strimzi's: others' versions change with their status all the time, and nothing of theirs is lost.
    """
    if step.found is None or step.found["apiVersion"] != STRIMZI:
        return step.manifest
    version: dict[str, Any] = {"resourceVersion": step.found["metadata"]["resourceVersion"]}
    return {**step.manifest, "metadata": {**step.manifest["metadata"], **version}}


def _is_permitted(judgement: Verdict, permitted: Set[Risk]) -> bool:
    return judgement.risk in permitted and not judgement.remedy


def _changes(manifest: Manifest, some: Iterable[Judged]) -> tuple[Change, ...]:
    return tuple(change_of(manifest, one) for one in some)
