"""Compares two contracts and says who a change would hurt. A breaking change belongs in a `.v2` type."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from trunkline.catalogue.changes import Change
from trunkline.catalogue.schema_diff import compare_schemas
from trunkline.catalogue.snapshot import EventPart, Snapshot

# Less of these leaves somebody with less than was promised.
PROMISES: Final[Mapping[str, str]] = {
    "retention_ms": "a consumer that is behind loses events sooner",
    "max_message_bytes": "events that fitted are refused",
    "replication_factor": "acknowledged events survive fewer failures",
    "min_insync_replicas": "acknowledged events survive fewer failures",
}

# Another value of these cannot be reached from the one before: Strimzi refuses it, or makes a cluster beside.
PERMANENT: Final[Mapping[str, str]] = {
    "name": "that is another cluster, and an empty one",
    "namespace": "that is another cluster, and an empty one",
    "quorum": "Strimzi's quorum neither grows nor shrinks",
}


def compare(old: Snapshot, new: Snapshot) -> tuple[Change, ...]:
    """Every difference from old to new; breaking ones first, otherwise in order of subject."""
    changes = [
        *_services(old, new),
        *_environments(old, new),
        *_topics(old, new),
        *_events(old, new),
    ]
    return tuple(sorted(changes, key=lambda change: (change.severity != "breaking", change.subject)))


def breaking(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Those of the changes that may not be made."""
    return tuple(change for change in changes if change.severity == "breaking")


def hurt_services(changes: Iterable[Change]) -> tuple[str, ...]:
    """Every service that one of the changes would hurt, sorted."""
    return tuple(sorted({service for change in changes for service in change.hurts}))


def _services(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    for name in sorted(set(old.services) - set(new.services)):
        yield _breaks("service_removed", name, "the service is gone and may do nothing any more", (name,))
    for name in sorted(set(new.services) - set(old.services)):
        yield _allows("service_added", name, "the service is new")


def _environments(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    everyone = old.services
    for name in sorted(old.environments.keys() | new.environments.keys()):
        before, after = old.environments.get(name), new.environments.get(name)
        if after is None:
            yield _breaks("environment_removed", name, "the environment is gone", everyone)
        elif before is None:
            yield _allows("environment_added", name, "the environment is new")
        else:
            yield from _settings(name, before, after, everyone=everyone)
            yield from _cluster(name, before.get("cluster"), after.get("cluster"), everyone=everyone)


def _settings(
    name: str, before: Mapping[str, Any], after: Mapping[str, Any], *, everyone: Sequence[str]
) -> Iterator[Change]:
    for key in sorted((before.keys() | after.keys()) - {"cluster"}):
        was, now = before.get(key), after.get(key)
        if was == now:
            continue
        change = f"{key} was {was} and is {now}"
        if key in PROMISES and isinstance(was, int) and (not isinstance(now, int) or now < was):
            yield _breaks("promise_lowered", name, f"{change}; {PROMISES[key]}", everyone)
        else:
            yield _allows("setting_changed", name, change)


def _cluster(name: str, before: Any, after: Any, *, everyone: Sequence[str]) -> Iterator[Change]:
    if not isinstance(before, dict) or not isinstance(after, dict):
        if before != after:
            told = "no longer says" if after is None else "says"
            yield _allows("cluster_declared", name, f"the environment {told} how it is built on Kubernetes")
        return
    for key, reason in PERMANENT.items():
        was, now = before.get(key), after.get(key)
        if was != now:
            message = f"{key} of the cluster was {was} and is {now}; {reason}"
            yield _breaks("cluster_replaced", name, message, everyone)


def _topics(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    for name in sorted(old.topics.keys() | new.topics.keys()):
        before, after = old.topics.get(name), new.topics.get(name)
        if before is None:
            yield _allows("topic_added", name, "the topic is new")
            continue
        if after is None:
            yield _breaks("topic_removed", name, "the topic is gone", (before.publisher, *before.consumers))
            continue
        if before.publisher != after.publisher:
            message = (
                f"the publisher was {before.publisher} and is {after.publisher}; events change their source"
            )
            yield _breaks("publisher_changed", name, message, (before.publisher, *before.consumers))
        for consumer in sorted(set(before.consumers) - set(after.consumers)):
            yield _breaks("consumer_removed", name, f"{consumer} may no longer read it", (consumer,))
        for consumer in sorted(set(after.consumers) - set(before.consumers)):
            yield _allows("consumer_added", name, f"{consumer} may now read it")
        yield from _partitions(name, before.partitions, after.partitions, hurt=before.consumers)


def _partitions(
    topic: str, before: Mapping[str, int], after: Mapping[str, int], *, hurt: Sequence[str]
) -> Iterator[Change]:
    for environment in sorted(before.keys() & after.keys()):
        was, now = before[environment], after[environment]
        change = f"partitions in {environment} were {was} and are {now}"
        if now < was:
            yield _breaks("partitions_reduced", topic, f"{change}; Kafka cannot remove any", hurt)
        elif now > was:
            yield _allows("partitions_added", topic, f"{change}; drain before growing, or tenants lose order")


def _events(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    for name in sorted(old.events.keys() | new.events.keys()):
        before, after = old.events.get(name), new.events.get(name)
        if before is None:
            yield _allows("event_added", name, "the event type is new")
            continue
        topic = old.topics.get(before.topic)
        consumers = topic.consumers if topic is not None else ()
        if after is None:
            yield _breaks("event_removed", name, f"{before.topic} no longer carries it", consumers)
            continue
        if before.topic != after.topic:
            moved = f"it moved from {before.topic} to {after.topic}"
            yield _breaks("event_moved", name, moved, consumers)
        yield from _revived(name, before, after, consumers)
        for found in compare_schemas(before.schema, after.schema):
            hurt = consumers if found.severity == "breaking" else ()
            yield Change(
                severity=found.severity,
                code=found.code,
                subject=name,
                message=found.message,
                hurts=_names(hurt),
            )


def _revived(event: str, before: EventPart, after: EventPart, consumers: Sequence[str]) -> Iterator[Change]:
    """A member may come back only as what it was: events that had it are still in the log."""
    members = after.schema.get("properties", {})
    for name in sorted(before.retired.keys() & members.keys()):
        for found in compare_schemas(before.retired[name], members[name], path=f"$.{name}"):
            if found.severity == "breaking":
                message = f"$.{name} was retired and comes back changed: {found.message}"
                yield _breaks("field_revived", event, message, consumers)


def _breaks(code: str, subject: str, message: str, hurt: Iterable[str]) -> Change:
    return Change(severity="breaking", code=code, subject=subject, message=message, hurts=_names(hurt))


def _allows(code: str, subject: str, message: str) -> Change:
    return Change(severity="compatible", code=code, subject=subject, message=message)


def _names(services: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(services)))
