"""Applying the catalogue's resources to a Kubernetes API: what is allowed, field by field. Never deletes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from trunkline.deploy.resource import Resource
from trunkline.deploy.strimzi import API_VERSION as STRIMZI
from trunkline.errors import TrunklineError
from trunkline.operate.apply import Applied, Outcome, held_back
from trunkline.operate.change import Change, Risk
from trunkline.operate.difference import Nothing, Place, left_as_found, removals
from trunkline.operate.kubernetes import KubernetesApi
from trunkline.operate.kubernetes_errors import KubernetesChanged, KubernetesFailed
from trunkline.operate.manifests import Key, Manifest
from trunkline.operate.resources import around_of, change_of, creation_of, former_changes, judged
from trunkline.operate.verdict import Surroundings, surroundings

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


NOT_TRIED: Final = "not tried, as the Kubernetes API stopped answering"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One resource to apply, as far as it is allowed; no `done` means that nothing of it is.

    `gone` are fields that the catalogue does not have and that may be taken away.
    """

    manifest: Manifest
    found: Manifest | None
    done: tuple[Change, ...] = ()
    left: tuple[Applied, ...] = ()
    gone: tuple[Place, ...] = ()


def apply_order(key: Key) -> tuple[int, Key]:
    """Sorts resources so that each comes after those that it needs."""
    kind = key[1]
    return ORDER.index(kind) if kind in ORDER else len(ORDER), key


def apply_resources(
    api: KubernetesApi,
    wanted: Iterable[Resource],
    found: Mapping[Key, Manifest],
    *,
    allowed: frozenset[Risk],
    force: bool,
) -> Iterator[Applied]:
    """Make the API's resources as the catalogue says, as far as `allowed`; what is safe always is.

    `found` is what `api` has of them. A field whose change is not allowed, or is for people to do, keeps the
    value that was found, and the rest of its resource is applied. `force` takes over fields that somebody
    else has set. What the server refuses of one resource does not keep the others from being applied; once
    nobody answers any more, the rest is left.
    """
    around = surroundings(found.values())
    listed = list(wanted)
    away = False
    for resource in sorted(listed, key=lambda one: apply_order(one.key)):
        step = _step(resource.manifest(), found.get(resource.key), around, allowed)
        if step.done and away:
            yield from _told(step.done, Outcome.LEFT, NOT_TRIED)
        elif step.done:
            before = step
            try:
                step = _written(api, resource, step, around, allowed=allowed, force=force)
            except TrunklineError as error:
                away = not isinstance(error, KubernetesFailed)
                yield from _told(before.done, Outcome.FAILED, str(error))
            else:
                yield from _told(step.done, Outcome.DONE)
        yield from step.left
    yield from (_left(change, allowed) for change in former_changes(listed, found))


def _written(
    api: KubernetesApi,
    resource: Resource,
    step: _Step,
    around: Mapping[tuple[str, str], Surroundings],
    *,
    allowed: frozenset[Risk],
    force: bool,
) -> _Step:
    """Apply it; once more if somebody has changed it since it was judged, and then what is there now.

    An operator that writes a status is such a somebody. Returns what was done and left in the end.
    """
    try:
        _apply(api, step, force=force)
    except KubernetesChanged:
        found = api.read([resource.key]).get(resource.key)
        again = _step(resource.manifest(), found, around, allowed)
        if again.done:
            _apply(api, again, force=force)
        open_fields = {one.change.field for one in again.left}
        # Of what is gone meanwhile nothing is settled.
        settled = [change for change in step.done if found and change.field not in open_fields]
        return replace(again, done=tuple(dict.fromkeys([*settled, *again.done])))
    return step


def _step(
    wanted: Manifest,
    found: Manifest | None,
    known: Mapping[tuple[str, str], Surroundings],
    allowed: frozenset[Risk],
) -> _Step:
    around = around_of(wanted, known)
    if found is None:
        change = creation_of(wanted, around)
        if held_back(change, allowed) is None:
            return _Step(manifest=wanted, found=None, done=(change,))
        return _Step(manifest=wanted, found=None, left=(_left(change, allowed),))
    every = [(one.difference, change_of(wanted, one)) for one in judged(wanted, found, around)]
    done = [(one, change) for one, change in every if held_back(change, allowed) is None]
    kept = [(one, change) for one, change in every if held_back(change, allowed) is not None]
    return _Step(
        manifest=left_as_found(wanted, [one for one, _ in kept]) if kept else wanted,
        found=found,
        done=tuple(change for _, change in done),
        left=tuple(_left(change, allowed) for _, change in kept),
        gone=tuple(one.at for one, _ in done if isinstance(one.wanted, Nothing)),
    )


def _apply(api: KubernetesApi, step: _Step, *, force: bool) -> None:
    applied = api.apply(_guarded(step), force=force)
    # What others have added stays after an apply, also where it must not.
    if patch := removals(applied, step.gone):
        api.merge(applied, patch)


def _guarded(step: _Step) -> Manifest:
    """The manifest, refused if somebody has changed or deleted the resource since it was judged.

    Only of Strimzi's: others' versions change with their status all the time, and nothing of theirs is lost.
    """
    if step.found is None or step.found["apiVersion"] != STRIMZI:
        return step.manifest
    # Without the uid the server creates what is gone meanwhile, whatever version is asked for.
    judged_one = {name: step.found["metadata"][name] for name in ("resourceVersion", "uid")}
    return {**step.manifest, "metadata": {**step.manifest["metadata"], **judged_one}}


def _left(change: Change, allowed: frozenset[Risk]) -> Applied:
    return Applied(change=change, outcome=Outcome.LEFT, because=held_back(change, allowed) or "")


def _told(changes: Iterable[Change], outcome: Outcome, because: str = "") -> Iterator[Applied]:
    return (Applied(change=change, outcome=outcome, because=because) for change in changes)
