"""What a change of a KafkaTopic or a KafkaUser risks.

Strimzi's topic operator sets what a KafkaTopic says, resets every other setting of the topic, and refuses to
take partitions away, to rename, and to change the number of replicas without Cruise Control
(strimzi-kafka-operator, `BatchingTopicController`). Its user operator replaces all ACLs of a principal.
"""

from collections.abc import Mapping
from typing import Any, Final

from trunkline.deploy.strimzi import CLUSTER_LABEL
from trunkline.operate.change import Risk
from trunkline.operate.difference import Difference, Nothing
from trunkline.operate.verdict import Surroundings, Verdict

UNLIMITED: Final = -1

MAX_BYTES: Final = "max.message.bytes"
MIN_IN_SYNC: Final = "min.insync.replicas"
UNCLEAN: Final = "unclean.leader.election.enable"

_BROKER_NAMES: Final = {
    "retention.ms": ("log.retention.ms", 7 * 24 * 3_600_000),
    "retention.bytes": ("log.retention.bytes", UNLIMITED),
    "cleanup.policy": ("log.cleanup.policy", "delete"),
    MAX_BYTES: ("message.max.bytes", 1_048_588),
    MIN_IN_SYNC: (MIN_IN_SYNC, 1),
    UNCLEAN: (UNCLEAN, False),
}
"""Of what may cost records or publishers: the brokers' setting that holds without it, and Kafka's default."""

_COARSER_RETENTION: Final = {"log.retention.minutes": 60_000, "log.retention.hours": 3_600_000}

SET_IN_USE: Final = Verdict(risk=Risk.SAFE, why="the topic operator sets it while the topic is in use")
FEWER_COPIES: Final = Verdict(
    risk=Risk.DATA, why="an event may be acknowledged that is on fewer brokers, and is lost with them"
)
UNCLEAN_LEADERS: Final = Verdict(
    risk=Risk.DATA, why="a replica that missed acknowledged records may become leader"
)

FENCED_BYTES: Final = frozenset({"0", "1"})
"""`max.message.bytes` while `trunkline topics grow` is at work: nobody can publish."""


def topic_creation(around: Surroundings) -> Verdict:
    """Of a KafkaTopic that is missing, or is not the cluster's. The topic may be there all the same."""
    if not around.is_there:
        return Verdict(risk=Risk.SAFE, why="the topic operator creates the topic, empty")
    return Verdict(
        risk=Risk.DATA,
        why="a topic of that name that is there already gets these settings: partitions may be added, "
        "retention cut; `trunkline plan` with the cluster's address tells whether there is one",
    )


def topic_verdict(difference: Difference, around: Surroundings) -> Verdict:  # noqa: PLR0911 - a table
    """Of one field of a KafkaTopic."""
    match difference.at:
        case ("spec", "partitions"):
            return _partitions(difference.found, difference.wanted)
        case ("spec", "replicas"):
            return _replicas(around)
        case ("spec", "config", "max.message.bytes") if str(difference.found) in FENCED_BYTES:
            return Verdict(
                risk=Risk.ORDER,
                why="the topic is fenced while its partitions grow, and publishers must not come back yet",
                remedy="finish the growth with `trunkline topics grow`, which lifts the fence",
            )
        case ("spec", "config", name) if name in _BROKER_NAMES:
            return _setting(name, difference, around)
        case ("spec", "config", *_):
            return SET_IN_USE
        case ("spec", "topicName"):
            return Verdict(
                risk=Risk.DATA,
                why="another topic would be meant",
                remedy="Strimzi never renames a topic: remove topicName from the KafkaTopic, or delete it",
            )
        case ("metadata", "labels", name) if name == CLUSTER_LABEL:
            return topic_creation(around)
        case _:
            return Verdict(risk=Risk.SAFE, why="the topic itself stays as it is")


def user_verdict(difference: Difference) -> Verdict:  # noqa: PLR0911 - a table
    """Of one field of a KafkaUser."""
    match difference.at:
        case ("spec", "authorization", *_) if isinstance(difference.found, Nothing):
            return Verdict(risk=Risk.SAFE, why="a right is given that the catalogue gives")
        case ("spec", "authorization", "acls", _) if _denies(difference.found):
            return Verdict(risk=Risk.ACCESS, why="whoever somebody has locked out with it comes in again")
        case ("spec", "authorization", *_):
            return Verdict(
                risk=Risk.ACCESS, why="whoever uses a right that the catalogue does not give loses it"
            )
        case ("spec", "authentication", *_):
            return Verdict(
                risk=Risk.ACCESS,
                why="the principal and its Secret change: who is connected with the old ones is locked out",
            )
        case ("spec", "quotas", *_):
            return Verdict(
                risk=Risk.SAFE, why="brokers take a quota over at once; at worst a client is slowed down"
            )
        case ("metadata", "labels", name) if name == CLUSTER_LABEL:
            return Verdict(risk=Risk.SAFE, why="an operator that was not responsible for the user becomes so")
        case _:
            return Verdict(risk=Risk.SAFE, why="rights and credentials stay as they are")


def _denies(acl: Any) -> bool:
    return isinstance(acl, dict) and acl.get("type") == "deny"


def _partitions(found: Any, wanted: Any) -> Verdict:
    if is_less(wanted, found):
        return Verdict(
            risk=Risk.ORDER,
            why="partitions were added past `trunkline topics grow`, and tenants moved with events unread",
            remedy=f"Strimzi takes no partition away: set `partitions` to {found} in the catalogue",
        )
    return Verdict(
        risk=Risk.ORDER,
        why="tenants move to other partitions, so that their events may pass each other; "
        "`trunkline topics grow` keeps them in order",
    )


def _replicas(around: Surroundings) -> Verdict:
    if around.has_cruise_control:
        return Verdict(risk=Risk.REBALANCE, why="Cruise Control copies or drops replicas of every partition")
    return Verdict(
        risk=Risk.REBALANCE,
        why="replicas of every partition are copied or dropped",
        remedy="Strimzi changes the number of replicas only with Cruise Control; "
        "without it use kafka-reassign-partitions.sh",
    )


def _setting(name: str, difference: Difference, around: Surroundings) -> Verdict:
    """Of what may cost records or publishers, by the values that hold."""
    default = _default(name, around.broker_config)
    found = default if isinstance(difference.found, Nothing) else difference.found
    wanted = default if isinstance(difference.wanted, Nothing) else difference.wanted
    if name == MAX_BYTES and is_less(wanted, found):
        return Verdict(risk=Risk.ACCESS, why="larger events that are taken now are refused")
    if name == MIN_IN_SYNC and is_less(wanted, found):
        return FEWER_COPIES
    if name == UNCLEAN and is_true(wanted):
        return SET_IN_USE if is_true(found) else UNCLEAN_LEADERS
    if name in {MAX_BYTES, MIN_IN_SYNC, UNCLEAN}:
        return SET_IN_USE
    keeps = keeps_policy(wanted, found) if name == "cleanup.policy" else not _is_shorter(wanted, found)
    if keeps:
        return Verdict(risk=Risk.SAFE, why="nothing is deleted that would stay now")
    return Verdict(risk=Risk.DATA, why="records that are kept now are deleted within minutes")


def _default(name: str, brokers: Mapping[str, Any]) -> Any:
    """What holds where the topic says nothing: of several units of a retention, Kafka takes the finest."""
    broker_name, kafka_default = _BROKER_NAMES[name]
    if broker_name in brokers:
        return brokers[broker_name]
    if name == "retention.ms":
        for coarser, milliseconds in _COARSER_RETENTION.items():
            if (value := _number(brokers.get(coarser))) is not None:
                return UNLIMITED if value < 0 else value * milliseconds
    return kafka_default


def keeps_policy(wanted: Any, found: Any) -> bool:
    """Whether the `cleanup.policy` adds no way of deleting."""
    return _policies(wanted) <= _policies(found)


def is_less(wanted: Any, found: Any) -> bool:
    """Whether both are numbers, or their digits, and the wanted one is smaller."""
    after, before = _number(wanted), _number(found)
    return after is not None and before is not None and after < before


def is_true(value: Any) -> bool:
    """As Kafka reads it."""
    return str(value).strip().lower() == "true"


def _policies(value: Any) -> frozenset[str]:
    return frozenset(part.strip() for part in str(value).split(",") if part.strip())


def _is_shorter(wanted: Any, found: Any) -> bool:
    """Whether less is kept; what is no number counts as unlimited where it was found."""
    after, before = _number(wanted), _number(found)
    if after is None or after < 0:
        return False
    return before is None or before < 0 or after < before


def _number(value: Any) -> int | None:
    try:
        return None if isinstance(value, bool | Nothing) else int(str(value))
    except ValueError:
        return None
