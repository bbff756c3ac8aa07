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
COMPACT, DELETE = "compact", "delete"
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

    `replicas` are the numbers of replicas that its partitions have, mostly one number; `in_sync` is the least
    that are in sync. `config` is what is in force, `own` the settings among it that are the topic's own.
    `was_written` tells whether it ever held a record. `expiring` counts the records that are older than the
    catalogue keeps them; it is looked up only where the topic keeps them for longer now, and is 0 elsewhere.
    `leaderless` partitions can tell neither, and count as written.
    """

    name: str
    partitions: int
    replicas: frozenset[int]
    in_sync: int
    config: Mapping[str, str]
    own: Mapping[str, str]
    was_written: bool
    expiring: int = 0
    leaderless: int = 0


def topic_changes(wanted: Iterable[TopicSettings], found: Mapping[str, LiveTopic]) -> list[Change]:
    """What makes the cluster's topics those of the catalogue, in the catalogue's order."""
    changes: list[Change] = []
    for topic in wanted:
        live = found.get(topic.name)
        changes += [_missing(topic)] if live is None else _differences(topic, live)
    return changes


def keeps_longer(found: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether records that the one configuration keeps are deleted by the other for their age."""
    longest = _age_max(wanted)
    return longest is not None and ((age := _age_max(found)) is None or age > longest)


def _age_max(config: Mapping[str, str]) -> int | None:
    """After how many milliseconds records are deleted; None for never."""
    retention = config.get(RETENTION, FOR_EVER)
    ages = DELETE in config.get(CLEANUP, DELETE).split(",") and retention.isdecimal()
    return int(retention) if ages else None


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
        verdict = (
            _CLOSED
            if _is_closed(live)
            else _fewer(topic, live)
            if live.partitions > topic.partitions
            else _more(topic, live)
        )
        yield altered(PARTITIONS, live.partitions, topic.partitions, verdict)
    if live.replicas != {topic.replication_factor}:
        found = " and ".join(map(str, sorted(live.replicas)))
        yield altered(REPLICATION_FACTOR, found, topic.replication_factor, _REASSIGNED)
    for name, value in topic.config.items():
        found = live.config.get(name, ABSENT)
        if found != value:
            yield altered(name, found, value, _setting(topic, live, name, found))
    for name in sorted(live.own.keys() - topic.config.keys() - OF_REASSIGNMENTS):
        yield altered(name, live.own[name], ABSENT, _given_back(name, live.own[name]))


def _is_closed(live: LiveTopic) -> bool:
    return closes(live.config.get(SETTING))


def _given_back(name: str, found: str) -> _Verdict:
    harmless = name in HARMLESS or (name, found) == ("unclean.leader.election.enable", "true")
    if harmless:
        return _Verdict(Risk.SAFE, "the catalogue says nothing of it, so the brokers' default shall hold")
    return _Verdict(
        Risk.DATA,
        "the catalogue says nothing of it; it may keep records from being lost, and the default need not",
    )


HARMLESS: Final = frozenset(
    {
        "compression.gzip.level",
        "compression.lz4.level",
        "compression.zstd.level",
        "file.delete.delay.ms",
        "flush.messages",
        "flush.ms",
        "index.interval.bytes",
        "preallocate",
        "segment.bytes",
        "segment.index.bytes",
        "segment.jitter.ms",
        "segment.ms",
    }
)
"""Settings of speed and of files: no record is kept or lost by them."""

_CLOSED: Final = _Verdict(
    Risk.ORDER,
    "a growth under way has closed the topic to publishers",
    "end it: the same `trunkline topics grow` command again, or the topic with --abandon",
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
    if not _was_written(live):
        return _Verdict(Risk.SAFE, "it never held a record, so nothing has moved", remedy)
    return _Verdict(
        Risk.ORDER,
        "partitions were added; if not by `trunkline topics grow`, tenants moved with events of theirs "
        "unread in another partition",
        remedy,
    )


def _more(topic: TopicSettings, live: LiveTopic) -> _Verdict:
    if not _was_written(live):
        return _Verdict(Risk.SAFE, "it never held a record, so nothing can move")
    return _Verdict(
        Risk.ORDER,
        f"tenants move to other partitions; `trunkline topics grow {topic.name} --partitions "
        f"{topic.partitions}` keeps their events in order",
    )


def _was_written(live: LiveTopic) -> bool:
    return live.was_written or live.leaderless > 0


def _setting(topic: TopicSettings, live: LiveTopic, name: str, found: str) -> _Verdict:
    match name:
        case _ if name == SETTING:
            return _size(live, found, topic.config[name])
        case _ if name == IN_SYNC:
            return _in_sync(live, found, topic.config[name])
        case _ if name in {RETENTION, CLEANUP}:
            return _keeping(topic, live, name, found)
        case _:
            return _Verdict(Risk.SAFE, _WHY.get(name, "it counts for what is published from now on"))


def _size(live: LiveTopic, found: str, wanted: str) -> _Verdict:
    if _is_closed(live):
        return _CLOSED
    if found.isdecimal() and int(found) > int(wanted):
        return _Verdict(Risk.ACCESS, "larger events that are taken now are refused")
    return _Verdict(Risk.SAFE, "larger events are taken from now on")


def _in_sync(live: LiveTopic, found: str, wanted: str) -> _Verdict:
    if int(wanted) > live.in_sync:
        return _Verdict(
            Risk.REBALANCE,
            f"no more than {live.in_sync} of its replicas are in sync, so nobody could publish",
            "bring its brokers back, or replicate it; then apply again",
        )
    if found.isdecimal() and int(found) > int(wanted):
        return _Verdict(
            Risk.DATA, "an event may then be acknowledged that fewer brokers have, and go with them"
        )
    return _Verdict(Risk.SAFE, "an acknowledged event is on more brokers from now on")


def _keeping(topic: TopicSettings, live: LiveTopic, name: str, found: str) -> _Verdict:
    """Of what decides when records go: their age, or that a newer one has their key."""
    if name == CLEANUP and set(found.split(",")) == {COMPACT} and _was_written(live):
        return _Verdict(Risk.DATA, "what compaction kept beyond the retention is deleted for good")
    if not keeps_longer(live.config, topic.config):
        return _Verdict(Risk.SAFE, "no record goes earlier; what is deleted already does not come back")
    if live.expiring:
        return _Verdict(
            Risk.DATA,
            f"up to {live.expiring:,} records are older than the catalogue keeps them, and go for good",
        )
    if live.leaderless:
        return _Verdict(
            Risk.DATA, "partitions without a leader cannot tell how many records are older, which are deleted"
        )
    return _Verdict(Risk.SAFE, "no record is older than that now")


_WHY: Final[Mapping[str, str]] = {
    "retention.bytes": "records are no longer deleted for their size",
}
