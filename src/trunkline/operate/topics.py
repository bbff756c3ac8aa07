"""The catalogue's topics against a cluster's: what has to be done, and what that risks. Values only."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from trunkline.catalogue.internal import INTERNAL_TOPICS
from trunkline.catalogue.topic_settings import TopicSettings
from trunkline.client.growth.fence import SETTING, closes
from trunkline.operate.change import ABSENT, Change, Layer, Risk, Verb

KIND: Final = "topic"
PARTITIONS: Final = "partitions"
REPLICATION_FACTOR: Final = "replication factor"
RETENTION: Final = "retention.ms"
CLEANUP: Final = "cleanup.policy"
COMPACT: Final = "compact"
IN_SYNC: Final = "min.insync.replicas"
FOR_EVER: Final = "-1"

OF_REASSIGNMENTS: Final = frozenset(
    {"leader.replication.throttled.replicas", "follower.replication.throttled.replicas"}
)
"""What a reassignment sets while it runs and takes away afterwards."""

_INTERNAL: Final = frozenset(topic.name for topic in INTERNAL_TOPICS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTopic:
    """A topic as its brokers have it.

    `config` is what is in force, `own` the settings among it that are the topic's own. `was_written` tells
    whether it ever held a record. `expiring` counts the records that are older than the catalogue keeps
    them; it is looked up only where the topic keeps them for longer now, and is 0 elsewhere.
    """

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]
    own: Mapping[str, str]
    was_written: bool
    expiring: int = 0


def topic_changes(wanted: Iterable[TopicSettings], found: Mapping[str, LiveTopic]) -> list[Change]:
    """What makes the cluster's topics those of the catalogue, in the catalogue's order."""
    changes: list[Change] = []
    for topic in wanted:
        live = found.get(topic.name)
        changes += [_missing(topic)] if live is None else _differences(topic, live)
    return changes


def keeps_longer(found: str | None, wanted: str) -> bool:
    """Whether the one `retention.ms` keeps records that the other deletes."""
    if found is None or wanted in {found, FOR_EVER}:
        return False
    return found == FOR_EVER or int(found) > int(wanted)


def _missing(topic: TopicSettings) -> Change:
    return Change(
        layer=Layer.CLUSTER,
        verb=Verb.CREATE,
        kind=KIND,
        name=topic.name,
        wanted=f"{topic.partitions} partitions, replication factor {topic.replication_factor}",
        risk=Risk.SAFE,
        why="there is nothing to lose; if it was deleted, so are its records, and its publishers and "
        "consumers go on with the new one",
    )


class _Verdict(NamedTuple):
    """What mending one difference of a topic risks, and who does it."""

    risk: Risk
    why: str
    remedy: str = ""


def _differences(topic: TopicSettings, live: LiveTopic) -> Iterator[Change]:
    def altered(field: str, found: object, wanted: object, verdict: _Verdict) -> Change:
        return Change(
            layer=Layer.CLUSTER,
            verb=Verb.ALTER,
            kind=KIND,
            name=topic.name,
            field=field,
            found=str(found),
            wanted=str(wanted),
            risk=verdict.risk,
            why=verdict.why,
            remedy=verdict.remedy,
        )

    if live.partitions != topic.partitions:
        verdict = _fewer(topic, live) if live.partitions > topic.partitions else _more(topic, live)
        yield altered(PARTITIONS, live.partitions, topic.partitions, verdict)
    if live.replication_factor != topic.replication_factor:
        yield altered(REPLICATION_FACTOR, live.replication_factor, topic.replication_factor, _REASSIGNED)
    for name, value in topic.config.items():
        found = live.config.get(name, ABSENT)
        if found != value:
            yield altered(name, found, value, _setting(live, name, found, value))
    for name in sorted(live.own.keys() - topic.config.keys() - OF_REASSIGNMENTS):
        yield altered(name, live.own[name], ABSENT, _GIVEN_BACK)


_GIVEN_BACK: Final = _Verdict(
    Risk.SAFE, "the catalogue says nothing of it, so the brokers' default shall hold"
)
_REASSIGNED: Final = _Verdict(
    Risk.REBALANCE,
    "replicas are copied from broker to broker",
    "reassign its partitions with kafka-reassign-partitions.sh; on Strimzi Cruise Control does it",
)


def _fewer(topic: TopicSettings, live: LiveTopic) -> _Verdict:
    if topic.name in _INTERNAL:
        remedy = f"its records need one order: stop all services, delete {topic.name}, and apply again"
    else:
        remedy = (
            f"Kafka takes no partition away: let the catalogue say {live.partitions}, or copy the events "
            "into a new cluster"
        )
    if not live.was_written:
        return _Verdict(Risk.SAFE, "it never held a record, so nothing has moved", remedy)
    return _Verdict(
        Risk.ORDER,
        "partitions were added: past `trunkline topics grow`, tenants moved with events of theirs unread in "
        "another partition",
        remedy,
    )


def _more(topic: TopicSettings, live: LiveTopic) -> _Verdict:
    if not live.was_written:
        return _Verdict(Risk.SAFE, "it never held a record, so nothing can move")
    return _Verdict(
        Risk.ORDER,
        f"tenants move to other partitions; `trunkline topics grow {topic.name} --partitions "
        f"{topic.partitions}` keeps their events in order",
    )


def _setting(live: LiveTopic, name: str, found: str, wanted: str) -> _Verdict:
    if name == SETTING and closes(found):
        return _Verdict(
            Risk.ORDER,
            "a growth under way has closed the topic to publishers",
            f"finish it: `trunkline topics grow {live.name}`, or the same with --abandon",
        )
    if name == IN_SYNC and int(wanted) > live.replication_factor:
        return _Verdict(
            Risk.REBALANCE,
            "it has fewer replicas than that, so nobody could publish",
            "replicate it first; then apply again",
        )
    if name == RETENTION:
        return _retention(live, found, wanted)
    if name == SETTING and found.isdecimal() and int(found) > int(wanted):
        return _Verdict(Risk.ACCESS, "larger events that are taken now are refused")
    if name == CLEANUP and COMPACT in found and live.was_written:
        return _Verdict(Risk.DATA, "what compaction kept beyond the retention is deleted for good")
    return _Verdict(Risk.SAFE, _WHY.get(name, "it counts for what is published from now on"))


def _retention(live: LiveTopic, found: str, wanted: str) -> _Verdict:
    if not keeps_longer(found, wanted):
        return _Verdict(Risk.SAFE, "records are kept for longer; what is deleted already does not come back")
    if live.expiring:
        return _Verdict(
            Risk.DATA, f"up to {live.expiring:,} records are older than that and are deleted for good"
        )
    return _Verdict(Risk.SAFE, "no record is older than that now")


_WHY: Final[Mapping[str, str]] = {
    CLEANUP: "records are deleted by their age and by nothing else",
    "retention.bytes": "records are no longer deleted for their size",
}
