"""The service's consumer group: who is in it, how far it is, and what else is named like it. Pure."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from trunkline.client.kafka.survey import DENIED, GroupTold
from trunkline.client.lag import Lag
from trunkline.deploy.alerts_of_services import LAG_RECORDS_MAX
from trunkline.operate.doctor.findings import (
    Family,
    Finding,
    counted,
    failed,
    not_checked,
    not_used,
    ok,
    warning,
)

GROUP: Final = Family.GROUP
MOVING: Final = frozenset({"PREPARING_REBALANCING", "COMPLETING_REBALANCING", "ASSIGNING", "RECONCILING"})
"""The library's names of the states between two assignments."""


def judge(group: str, told: GroupTold, lags: Sequence[Lag]) -> Iterator[Finding]:
    """The state of the group, and how far it is in what it reads."""
    if told.code:
        denied = told.code in DENIED
        yield not_checked(
            GROUP,
            group,
            "no right to describe it, see rights" if denied else f"the broker does not tell ({told.code})",
        )
        return
    yield _state(group, told)
    if lags:
        yield _lag(group, lags)


def without(service: str) -> Finding:
    """For a service that shares no topic with other instances of it."""
    return not_used(GROUP, service, "reads all that it reads in every instance, without a group")


def strangers(service: str, visible: Collection[str], services: Collection[str]) -> Iterator[Finding]:
    """The groups that are named after the service and are not its own."""
    for name in sorted(visible):
        if name != service and name.startswith(service) and name not in services:
            yield warning(
                GROUP,
                name,
                f"the user of {service} may join it by its name, and it is not the service's group",
                "delete it if nobody needs its offsets",
            )


def _state(group: str, told: GroupTold) -> Finding:
    where = f", coordinator {told.coordinator}" if told.coordinator else ""
    if told.state in ("DEAD", "EMPTY"):
        before = "it has never run here" if told.state == "DEAD" else "its offsets are kept"
        return warning(GROUP, group, f"no member; {before}{where}", "start the service, or see why it ended")
    if told.state in MOVING:
        return warning(
            GROUP,
            group,
            f"{counted(told.members, 'member')} share out partitions at this moment{where}",
            "ask again; where it stays so, members come and go: see their logs",
        )
    return ok(GROUP, group, f"{told.state.lower()}, {counted(told.members, 'member')}{where}")


def _lag(group: str, lags: Sequence[Lag]) -> Finding:
    behind = sum(one.lag for one in lags)
    fresh = [f"{one.topic}/{one.partition}" for one in lags if one.committed is None]
    text = f"{counted(behind, 'record')} behind in {counted(len(lags), 'partition')}"
    if fresh:
        text += f"; no committed offset in {len(fresh)} of them, which are read from their beginning"
    lost = [one for one in lags if one.committed is not None and one.committed > one.end]
    if lost:
        return failed(
            GROUP,
            f"offsets of {group}",
            f"{text}; committed beyond the end of {lost[0].topic}/{lost[0].partition}",
            "the topic was created anew or has lost its tail: see `trunkline lag`",
        )
    if behind > LAG_RECORDS_MAX:
        return warning(GROUP, f"offsets of {group}", text, "see `trunkline lag --watch`, and add instances")
    return ok(GROUP, f"offsets of {group}", text)
