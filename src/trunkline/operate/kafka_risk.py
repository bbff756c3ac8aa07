"""What a change of a Kafka or a KafkaNodePool risks.

Strimzi restarts brokers one after the other for most settings, its quorum of controllers is static, storage
never shrinks or changes its kind, and brokers that still hold partitions are not taken away
(Strimzi 1.2, "Deploying and managing": KRaft mode, scaling, storage).
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from trunkline.catalogue.quantity import size_bytes
from trunkline.operate.change import Risk
from trunkline.operate.difference import Difference, Nothing
from trunkline.operate.manifests import Manifest
from trunkline.operate.topic_risk import (
    FEWER_COPIES,
    MIN_IN_SYNC,
    UNCLEAN,
    UNCLEAN_LEADERS,
    is_less,
    is_true,
    keeps_policy,
)
from trunkline.operate.verdict import Surroundings, Verdict

ROLLED: Final = Verdict(risk=Risk.REBALANCE, why="Strimzi restarts the nodes one after the other")
AT_ONCE: Final = Verdict(risk=Risk.SAFE, why="it takes effect without a restart of brokers")

DYNAMIC: Final = frozenset(
    {
        "compression.type",
        "log.cleanup.policy",
        "log.retention.bytes",
        "log.retention.hours",
        "log.retention.minutes",
        "log.retention.ms",
        "message.max.bytes",
        "min.insync.replicas",
        "unclean.leader.election.enable",
    }
)
"""Settings of brokers that Kafka changes while they run, as its documentation's update modes say."""

KEEPING: Final = frozenset(name for name in DYNAMIC if name.startswith("log."))
"""Of these a smaller one deletes records of topics that do not say it themselves."""

NO_ACL_FOUND: Final = "allow.everyone.if.no.acl.found"
CLEANUP: Final = "log.cleanup.policy"

_NUMBERS: Final = re.compile(r"\d+")


def kafka_verdict(difference: Difference) -> Verdict:  # noqa: PLR0911 - a table
    """Of one field of a Kafka."""
    match difference.at:
        case ("spec", "kafka", "version" | "metadataVersion" as name):
            return _version(name, difference)
        case ("spec", "kafka", "listeners" | "authorization", *_):
            return Verdict(
                risk=Risk.ACCESS,
                why="clients may no longer reach the brokers, or have other rights; brokers are restarted",
            )
        case ("spec", "kafka", "config", name):
            return _config(name, difference)
        case ("spec", "kafka", "logging", *_):
            return AT_ONCE
        case ("spec", "kafka", *_):
            return ROLLED
        case ("spec", "clusterCa" | "clientsCa", "validityDays" | "renewalDays"):
            return AT_ONCE
        case ("spec", "clusterCa" | "clientsCa", *_):
            return Verdict(risk=Risk.ACCESS, why="certificates are issued anew, and those in use may end")
        case _:
            return AT_ONCE


def node_pool_verdict(
    difference: Difference, wanted: Manifest, found: Manifest, around: Surroundings
) -> Verdict:
    """Of one field of a KafkaNodePool."""
    roles = [*_roles(wanted), *_roles(found)]
    match difference.at:
        case ("spec", "roles", *_):
            return _never(
                "Strimzi's quorum of controllers is static", "make a new pool and move its partitions"
            )
        case ("spec", "replicas") if "controller" in roles:
            return _never(
                "Strimzi's quorum of controllers neither grows nor shrinks",
                f"if {difference.found} run, let the catalogue say so; "
                f"if the pool was edited only, put {difference.wanted} back with kubectl edit",
            )
        case ("spec", "replicas"):
            return _brokers(difference, around)
        case ("spec", "storage", *rest):
            return _storage(rest, difference)
        case ("metadata", *_):
            return AT_ONCE
        case _:
            return ROLLED


def _version(name: str, difference: Difference) -> Verdict:
    if _numbers(difference.wanted) < _numbers(difference.found):
        return Verdict(
            risk=Risk.DATA,
            why="an older Kafka may not read what a newer one has written",
            remedy=f"set the catalogue's {'kafka' if name == 'version' else 'metadata'} version to "
            f"{difference.found}; Strimzi's upgrade guide says which ways back there are",
        )
    if name == "metadataVersion":
        return Verdict(risk=Risk.REBALANCE, why="there is no way back to the older metadata version")
    return ROLLED


def _config(name: str, difference: Difference) -> Verdict:
    if name == NO_ACL_FOUND and is_true(difference.found):
        return Verdict(risk=Risk.ACCESS, why="whoever has no right of his own is no longer let in")
    if name == UNCLEAN and is_true(difference.wanted):
        return UNCLEAN_LEADERS
    if name == MIN_IN_SYNC and is_less(*_in_force(difference, default=1)):
        return FEWER_COPIES
    if name == CLEANUP and keeps_policy(*_in_force(difference, default="delete")):
        return AT_ONCE
    if name in KEEPING:
        return _retention(difference)
    return AT_ONCE if name in DYNAMIC else ROLLED


def _in_force(difference: Difference, *, default: Any) -> tuple[Any, Any]:
    """What is wanted and what was found, with Kafka's default for what is not there."""
    wanted, found = (
        default if isinstance(value, Nothing) else value for value in (difference.wanted, difference.found)
    )
    return wanted, found


def _retention(difference: Difference) -> Verdict:
    """Safe only where it is certain that more is kept."""
    try:
        after, before = int(str(difference.wanted)), int(str(difference.found))
        keeps = after < 0 or 0 <= before <= after
    except ValueError:
        keeps = False
    if keeps:
        return AT_ONCE
    return Verdict(risk=Risk.DATA, why="topics that do not say how long they keep records lose older ones")


def _brokers(difference: Difference, around: Surroundings) -> Verdict:
    found, wanted = difference.found, difference.wanted
    grows = isinstance(found, int) and isinstance(wanted, int) and wanted > found
    if grows and around.has_cruise_control:
        return Verdict(risk=Risk.REBALANCE, why="Cruise Control moves partitions to the new brokers")
    if grows:
        return Verdict(
            risk=Risk.REBALANCE, why="the new brokers stay empty until partitions are moved to them"
        )
    if around.has_cruise_control:
        return Verdict(
            risk=Risk.REBALANCE, why="Cruise Control first moves all partitions off what is taken away"
        )
    return Verdict(
        risk=Risk.DATA,
        why="partitions of the brokers that are taken away are lost",
        remedy="move all partitions off these brokers with kafka-reassign-partitions.sh, then edit the pool",
    )


def _storage(rest: Sequence[str], difference: Difference) -> Verdict:  # noqa: PLR0911 - a table
    match rest:
        case [*_, "size"] if _is_smaller(difference):
            return _never("storage never shrinks", f"put {difference.found} back into the catalogue")
        case [*_, "size"]:
            return Verdict(risk=Risk.SAFE, why="the volumes grow, if their storage class lets them")
        case [*_, "deleteClaim"] if difference.wanted is True:
            return Verdict(risk=Risk.DATA, why="from then on the disks are deleted together with the pool")
        case [*_, "deleteClaim"]:
            return Verdict(risk=Risk.SAFE, why="from then on the disks outlive the pool")
        case ["volumes", _] if isinstance(difference.wanted, Nothing):
            return _never("data on the volume would be lost", "move its partitions off, then edit the pool")
        case ["volumes", _]:
            return ROLLED
        case [*_, "kraftMetadata"]:
            return ROLLED
        case _:
            return _never("Strimzi never changes the kind of a pool's storage", "make a new pool with it")


def _never(why: str, remedy: str) -> Verdict:
    return Verdict(risk=Risk.DATA, why=why, remedy=remedy)


def _is_smaller(difference: Difference) -> bool:
    after, before = size_bytes(str(difference.wanted)), size_bytes(str(difference.found))
    return after is None or before is None or after < before


def _roles(pool: Manifest) -> Sequence[str]:
    spec = pool.get("spec")
    roles = spec.get("roles") if isinstance(spec, dict) else None
    return roles if isinstance(roles, list) else ()


def _numbers(version: Any) -> list[int]:
    return [int(digits) for digits in _NUMBERS.findall(str(version))]
