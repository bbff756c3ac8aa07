"""The billing service's effect: usage becomes facts and numbers, a tenant's life its plans.

A batch takes the same few statements whatever is in it. Order across topics does not matter: usage counts
under the tenant's id whether or not the tenant is known, and is compared with a plan that comes later.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

from trunkline.client.handler import Received, Refusal
from trunkline.client.outbox.add import Outbox
from trunkline.codec.record import Record
from trunkline.services.billing import lateness, plans, quarantine, quotas
from trunkline.services.billing.booking import book
from trunkline.services.billing.books import Books, read_meters
from trunkline.services.billing.facts import Fact, fact_of
from trunkline.services.billing.lateness import Doubt
from trunkline.services.billing.months import to_us
from trunkline.services.billing.sql import lock_tenants
from trunkline.services.billing.subjects import Subjects
from trunkline.services.billing.terms import Terms
from trunkline.services.settings.billing import TYPES

METERED: Final = frozenset(TYPES)


class BillingHandler:
    """A `client.handler.Handler`. `terms` gives what is in force; `wall` dates records without a time."""

    def __init__(
        self,
        outbox: Outbox,
        subjects: Subjects,
        *,
        terms: Callable[[], Terms],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._outbox = outbox
        self._subjects = subjects
        self._terms = terms
        self._wall = wall

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        lock_tenants(tx, {received.event.tenantid for received in events})
        books = Books(read_meters(tx), self._terms(), self._outbox)
        changed = plans.record(tx, events)
        metered = [received for received in events if received.event.type in METERED]
        if metered:
            self._count(tx, books, metered)
        if changed:
            quotas.reassess(tx, books, changed)

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:
        """It stays in the failure ledger, where it keeps its tenant's months from being closed."""

    def _count(self, tx: Connection, books: Books, events: Sequence[Received]) -> None:
        keys = self._subjects.of(tx, {received.event.tenantid for received in events})
        now_us = to_us(self._wall())
        believed: list[Fact] = []
        doubted: list[tuple[Fact, Doubt]] = []
        for received in events:
            arrived_us = lateness.arrival_us(received, now_us)
            fact = fact_of(received, arrived_us=arrived_us, key=keys[received.event.tenantid])
            reason = lateness.doubt(
                received, time_us=fact.time_us, arrived_us=arrived_us, grace_us=books.terms.grace_us
            )
            if reason is None:
                believed.append(fact)
            else:
                doubted.append((fact, reason))
        book(tx, books, believed)
        quarantine.add(tx, doubted)
