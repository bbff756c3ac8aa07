"""One examination from the first address to the last right, each check within its time.

What a check needs is checked before it. Where that failed, the checks behind say that they were not made,
instead of failing once more for the same reason; so an examination of a dead address ends within seconds.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from trunkline.catalogue.access import Right, rights
from trunkline.errors import TrunklineError
from trunkline.operate.doctor import cluster, reach, store, tls
from trunkline.operate.doctor.deadline import together, within
from trunkline.operate.doctor.findings import Family, Finding, failed, not_checked
from trunkline.operate.doctor.reach import Address
from trunkline.operate.doctor.visit import Patient, Visit

CHECK_SECONDS: Final = 20.0
"""Of a family: some requests, each with its own 5 s at the most, and milliseconds where all is well."""

NEEDS_SERVICE: Final = frozenset({Family.RIGHTS, Family.GROUP, Family.STORE})


def examine(
    patient: Patient, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Iterator[Finding]:
    """The findings, as they are made, in the order of the families.

    Raises `InvalidInput` for a service or an environment that the catalogue does not have; whatever is wrong
    out there is a finding.
    """
    patient.catalogue.environment(patient.environment)
    granted = rights(patient.catalogue, patient.service) if patient.service else ()
    found = reach.contacts(reach.addresses(patient.connection.bootstrap_servers))
    reached = [one.address for one in found if one.answered]
    for one in found:
        yield reach.judge(one, others=bool(reached))
    if reached:
        yield from _connected(patient, granted, reached, now)
    else:
        yield from _left_out(patient, Family.TLS, "no bootstrap server can be reached")
    if patient.service is not None and patient.stores is not None:
        stores, service = patient.stores, patient.service
        try:
            yield from within(CHECK_SECONDS, lambda: list(store.examine(stores, patient.catalogue, service)))
        except TimeoutError as error:
            yield failed(Family.STORE, "", str(error), "see what holds the database")


def _connected(
    patient: Patient, granted: Sequence[Right], reached: Sequence[Address], now: Callable[[], datetime]
) -> Iterator[Finding]:
    security = patient.connection.security
    if tls.uses_tls(security):
        yield from tls.examined(security, reached, now=now())
    else:
        yield from together(partial(tls.in_the_clear, security, address) for address in reached)
    try:
        visit = Visit(patient, granted, reached)
    except TrunklineError as error:
        yield failed(Family.CREDENTIALS, cluster.way_in(security), str(error))
        yield from _left_out(patient, Family.BROKERS, "the cluster has not answered this client")
        return
    yield cluster.let_in(security)
    for family, check in visit.checks(now):
        try:
            yield from within(CHECK_SECONDS, check)
        except (TrunklineError, TimeoutError) as error:
            yield failed(family, "", str(error))
            if family is Family.BROKERS:
                yield from _left_out(patient, Family.VERSIONS, "the brokers do not answer")
                return


def _left_out(patient: Patient, first: Family, why: str) -> Iterator[Finding]:
    """A line for each family from this one on that would have asked the cluster."""
    order = list(Family)
    for family in order[order.index(first) : order.index(Family.STORE)]:
        if patient.service is not None or family not in NEEDS_SERVICE:
            yield not_checked(family, "", why)
