"""The topics as the brokers have them against the contract, as far as this principal may see. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from trunkline.catalogue.topic_settings import TopicSettings
from trunkline.client.kafka.survey import ABSENT, TopicTold
from trunkline.operate.doctor.findings import Family, Finding, counted, failed, not_checked, ok, warning

TOPICS: Final = Family.TOPICS
PLAN: Final = "`trunkline plan` tells what mending it risks, `trunkline apply` mends what is safe"


def judge(
    wanted: Sequence[TopicSettings],
    told: Mapping[str, TopicTold],
    configs: Mapping[str, Mapping[str, str]],
) -> Iterator[Finding]:
    """One line for each topic, and one for those whose settings this principal may not see.

    `configs` has the settings in force of those topics where they could be read.
    """
    unread = []
    for topic in wanted:
        found = told[topic.name]
        yield _topic(topic, found, configs.get(topic.name))
        if not found.code and topic.name not in configs:
            unread.append(topic.name)
    if unread:
        yield not_checked(
            TOPICS,
            f"settings of {counted(len(unread), 'topic')}",
            "no right to DescribeConfigs, which a service has not",
            "`trunkline doctor` without SERVICE as the operator's user, or `trunkline plan`, compares them",
        )


def _topic(wanted: TopicSettings, found: TopicTold, config: Mapping[str, str] | None) -> Finding:
    if found.code in ABSENT:
        return failed(TOPICS, wanted.name, "the cluster does not have it", "`trunkline apply` creates it")
    if found.code:
        return not_checked(TOPICS, wanted.name, f"no right to describe it ({found.code})")
    if found.leaderless:
        return failed(
            TOPICS,
            wanted.name,
            f"no broker serves partition {_numbers(found.leaderless)}",
            "bring the brokers back that hold it",
        )
    differences = [*_counts(wanted, found), *_settings(wanted, config or {})]
    if differences:
        return warning(TOPICS, wanted.name, ", ".join(differences), PLAN)
    if found.under_replicated:
        return warning(
            TOPICS,
            wanted.name,
            f"partition {_numbers(found.under_replicated)} has fewer replicas in sync than it should",
            "see why a broker is down or behind",
        )
    compared = "as the contract says" if config is not None else "partitions and replicas are the contract's"
    return ok(TOPICS, wanted.name, f"{found.partitions} x {found.replication_factor}, {compared}")


def _counts(wanted: TopicSettings, found: TopicTold) -> Iterator[str]:
    if found.partitions != wanted.partitions:
        yield f"{counted(found.partitions, 'partition')}, the contract has {wanted.partitions}"
    if found.replication_factor != wanted.replication_factor:
        yield f"{counted(found.replication_factor, 'replica')}, the contract has {wanted.replication_factor}"


def _settings(wanted: TopicSettings, config: Mapping[str, str]) -> Iterator[str]:
    for name, value in wanted.config.items():
        if name in config and config[name] != value:
            yield f"{name} is {config[name]}, the contract has {value}"


def _numbers(partitions: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(partitions)))
