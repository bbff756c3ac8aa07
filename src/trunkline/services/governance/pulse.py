"""What governance does by the clock: it shows that it is alive, repeats bundles, and ends overrides.

Any number of instances may run. Each piece of work begins with an update that moves a row on from where it
was due (`governance_pulse`, a head's `snapshot_us`), or that takes the row away (an override): of several
instances one finds it so, in the transaction that also publishes. So nothing is done twice, and nothing waits
for an instance that died.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.catalogue.events.policy import PolicyHeartbeat
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client import failpoints
from trunkline.client.errors import StoreUnavailable
from trunkline.client.log import Log
from trunkline.client.outbox import Outbox
from trunkline.client.store import Store
from trunkline.errors import TrunklineError
from trunkline.services.governance.holds import end_what_is_over
from trunkline.services.governance.ledger import Ledger
from trunkline.services.governance.metrics import GovernanceMetrics
from trunkline.services.governance.moments import to_us
from trunkline.services.governance.orders import Order
from trunkline.services.governance.quarantines import SERVICE
from trunkline.services.governance.rulebook import Rulebook
from trunkline.services.governance.tables import HEAD, OVERRIDE, PULSE, QUARANTINE
from trunkline.services.kit.ending import TenantEnded

HEARTBEAT: Final = timedelta(seconds=5)
"""A sixth of the time after which enforcers fail closed."""

SNAPSHOT_EVERY: Final = timedelta(hours=1)
"""How often a tenant's bundle is repeated: also in development the log keeps more than a hundred of them."""

LOOK_S: Final = 1.0
"""The longest between two looks at what is due."""

DUE_MAX: Final = 100
"""Bundles or overrides of one look; the next look goes on."""

HEARTBEAT_ROW: Final = "heartbeat"

_log = Log(__name__)


class Pulse:
    """The work itself, one look at a time. `wall` is the clock."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        rulebook: Rulebook,
        metrics: GovernanceMetrics,
        *,
        wall: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._rulebook = rulebook
        self._metrics = metrics
        self._wall = wall

    def look(self) -> bool:
        """Do what is due; returns whether anything was published."""
        now = self._wall()
        beaten = self._beat(now)
        repeated = self._repeat(now)
        ended = self._end_overrides(now)
        return beaten or repeated or ended

    def _beat(self, now: datetime) -> bool:
        with self._store.read() as tx:
            if tx.execute(select(PULSE.c.name).where(~_is_due(now))).first() is not None:
                return False
        with self._store.write() as tx:
            sequence = _take_turn(tx, now)
            if sequence is None:
                return False
            bundles, digest = bundles_digest(tx)
            event = PolicyHeartbeat(
                sequence=sequence,
                sent_at=now,
                every_ms=HEARTBEAT // timedelta(milliseconds=1),
                bundles=bundles,
                digest=digest,
            )
            self._outbox.emit(tx, event, tenant=SYSTEM_TENANT, time=now)
            self._count(tx, bundles)
        self._metrics.heartbeats.inc()
        failpoints.reach("governance.beaten")
        return True

    def _repeat(self, now: datetime) -> bool:
        due_us = to_us(now - SNAPSHOT_EVERY)
        due = (HEAD.c.revision > 0) & (HEAD.c.snapshot_us <= due_us)
        with self._store.read() as tx:
            tenants = tx.execute(select(HEAD.c.tenant).where(due).limit(DUE_MAX)).scalars().all()
        repeated = 0
        for tenant in tenants:
            with self._store.write() as tx:
                taken = update(HEAD).where(HEAD.c.tenant == tenant, due).values(snapshot_us=to_us(now))
                if tx.execute(taken).rowcount:
                    Ledger(tx, self._outbox, [tenant]).repeat(tenant, now)
                    repeated += 1
            failpoints.reach("governance.repeated")
        self._metrics.snapshots.inc(repeated)
        return repeated > 0

    def _end_overrides(self, now: datetime) -> bool:
        over = OVERRIDE.c.until_us <= to_us(now)
        columns = (OVERRIDE.c.tenant, OVERRIDE.c.asset, OVERRIDE.c.decision_id)
        with self._store.read() as tx:
            due = tx.execute(select(*columns).where(over).limit(DUE_MAX)).all()
        ended = 0
        for tenant, asset, override_id in due:
            with suppress(TenantEnded), self._store.write() as tx:
                held = end_what_is_over(
                    tx,
                    self._outbox,
                    asset,
                    Order(tenant=tenant, actor_id=SERVICE, now=now),
                    exempt_roles=self._rulebook.of(tenant).exempt_roles,
                    override_id=override_id,
                )
                ended += held is not None
            failpoints.reach("governance.override_ended")
        return ended > 0

    def _count(self, tx: Connection, bundles: int) -> None:
        self._metrics.bundles.set(bundles)
        held = select(QUARANTINE.c.mode, func.count()).group_by(QUARANTINE.c.mode)
        self._metrics.quarantined.clear()
        for mode, number in tx.execute(held):
            self._metrics.quarantined.labels(mode).set(number)
        overrides = tx.execute(select(func.count()).select_from(OVERRIDE)).scalar_one()
        self._metrics.overrides.set(overrides)
        self._metrics.refused_settings.set(len(self._rulebook.refusals))


class PulseThread:
    """A `Companion` that looks every second. While the store is away it waits; nothing is lost by that."""

    def __init__(
        self,
        pulse: Pulse,
        *,
        wake: Callable[[], None],
        on_failure: Callable[[TrunklineError], None],
    ) -> None:
        self._pulse = pulse
        self._wake = wake
        self._on_failure = on_failure
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="governance-pulse", daemon=True)

    def start(self) -> None:
        """Begin: the first heartbeat goes out at once, if none went out lately."""
        self._thread.start()

    def stop(self) -> None:
        """End. Safe to call twice, and without `start`."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                if self._pulse.look():
                    self._wake()
            except StoreUnavailable as error:
                _log.warning("heartbeats have to wait", error=str(error))
            except Exception as error:  # noqa: BLE001 - without heartbeats every enforcer fails closed
                self._on_failure(TrunklineError(f"the pulse of governance cannot go on: {error!r}"))
                return
            if self._stop.wait(LOOK_S):
                return


def bundles_digest(tx: Connection) -> tuple[int, str]:
    """How many tenants have a bundle, and the digest over all of them that a heartbeat carries."""
    heads = tx.execute(select(HEAD.c.tenant, HEAD.c.revision, HEAD.c.digest).where(HEAD.c.revision > 0))
    lines = sorted(f"{tenant} {revision} {digest}\n" for tenant, revision, digest in heads)
    return len(lines), sha256("".join(lines).encode()).hexdigest()


def _take_turn(tx: Connection, now: datetime) -> int | None:
    """The number of the heartbeat that this instance has to send; None where none is due."""
    new = postgresql.insert(PULSE) if tx.dialect.name == "postgresql" else sqlite.insert(PULSE)
    tx.execute(new.on_conflict_do_nothing(), {"name": HEARTBEAT_ROW, "sequence": 0, "sent_us": 0})
    taken = update(PULSE).where(PULSE.c.name == HEARTBEAT_ROW, _is_due(now))
    if not tx.execute(taken.values(sequence=PULSE.c.sequence + 1, sent_us=to_us(now))).rowcount:
        return None
    sequence: int = tx.execute(select(PULSE.c.sequence).where(PULSE.c.name == HEARTBEAT_ROW)).scalar_one()
    return sequence


def _is_due(now: datetime) -> ColumnElement[bool]:
    """The last heartbeat is long ago, or from a future that a clock which was set back has left."""
    return (PULSE.c.sent_us <= to_us(now - HEARTBEAT)) | (PULSE.c.sent_us > to_us(now + HEARTBEAT))
