"""Publishes what is in the outbox, at least once, and tenant by tenant in the order of commit.

Theory of operation. The rows of one tenant are read in the order of their positions, which is the order of
commit (see `add`). An event is handed to the publisher only when every earlier event of its tenant is known
to be in the log: because this relay saw its delivery, or because its row was gone when the rows were read,
and a row goes only after a delivery, or when an operator discards it. So whoever hands over an event, be it
this relay, one that took over, or one that was frozen for an hour and now wakes with an old row in its hand,
all of its predecessors are in the log already. A zombie can repeat an event, also behind younger ones, but
never bring one too early: the first occurrences of a tenant's events are in order, always. Consumers drop
repetitions by the event's id.

Claims (see `claims`) only keep two relays from doing the same work. Removing a row needs no fencing: whoever
removes it has seen its delivery, and a position is never used twice.
"""

import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final
from uuid import uuid4

from prometheus_client import CollectorRegistry
from sqlalchemy import Connection

from trunkline.client.backoff import Backoff
from trunkline.client.delivery import Delivered, Delivery, Outcome
from trunkline.client.errors import DeliveryRejected, PublishRefused, StoreUnavailable
from trunkline.client.log import Log
from trunkline.client.outbox import claims, rows
from trunkline.client.outbox.backlog import RETRY, Backlog
from trunkline.client.outbox.metrics import RelayMetrics
from trunkline.client.outbox.rows import Pending
from trunkline.client.publisher import Publisher
from trunkline.client.store import Store
from trunkline.codec import CodecError
from trunkline.errors import TrunklineError, Unavailable

UNDER_WAY_MAX: Final = 1_000
IN_MEMORY_MAX: Final = 5_000
"""Events that are read ahead, over all tenants."""

LEASE_SECONDS: Final = 10.0
"""How long a dead relay's tenants wait before another takes them, and a little more."""

LEASE_PARTS: Final = 4
"""A claim is renewed so many times in its life."""

POLL: Final = Backoff(first=0.02, longest=0.5)
"""Waits between looks at the outbox: short while there are events, then doubling."""

STORE_RETRY: Final = Backoff(first=0.1, longest=2.0)
STOP_SECONDS: Final = 25.0

_log = Log("trunkline.outbox")


class Relay:
    """One relay of one service's outbox. Several may run at once, in any number of processes.

    `run` blocks its thread until `stop`; `start` runs it on a thread of its own. The store must have been
    migrated with `OUTBOX`. While the store or the cluster is away the relay waits. A tenant whose event fails
    waits for it, the others go on; a refused event is tried again every now and then, until it is taken or
    an operator discards it (`rows.discard`).
    """

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        *,
        registry: CollectorRegistry | None = None,
        owner: str | None = None,
        lease_seconds: float = LEASE_SECONDS,
        retry: Backoff = RETRY,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.owner = owner or f"{socket.gethostname()}-{uuid4().hex[:12]}"
        self._store = store
        self._publisher = publisher
        self._metrics = RelayMetrics(registry or CollectorRegistry(), publisher.service)
        self._lease_seconds = lease_seconds
        self._monotonic = monotonic
        self._wall = wall
        self._backlog = Backlog(retry)
        self._lanes: frozenset[int] = frozenset()
        self._lease_until = self._renew_at = self._read_at = 0.0
        self._empty_reads = 0
        self._behind = ""
        self._outcomes: deque[tuple[Pending, Outcome | TrunklineError]] = deque()
        self._failed: dict[tuple[str, str], Delivery] = {}
        """What failed last, by topic and tenant, until the tenant's next event there goes."""
        self._removable: list[int] = []
        self._woken = threading.Event()
        self._nudged = False
        self._claimed = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self, *, on_failure: Callable[[TrunklineError], None] | None = None) -> None:
        """Run on a thread of its own. `on_failure` hears there why it ended, if `stop` was not the reason."""
        run = partial(self._run_and_tell, on_failure)
        self._thread = threading.Thread(target=run, name="outbox-relay", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Make `run` return once what is under way has its outcome; waits for the thread of `start`."""
        self._stopping = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    def wake(self) -> None:
        """Something was added: look at once. From any thread."""
        self._nudged = True
        self._woken.set()

    def wait_started(self, timeout: float) -> bool:
        """Wait until the store has answered for the first time; returns whether it has."""
        return self._claimed.wait(timeout)

    def run(self) -> None:
        """Publish until `stop`. Raises the store's errors that waiting does not mend."""
        failures = 0
        while not self._stopping:
            try:
                self._turn()
                failures = 0
                self._woken.wait(self._idle_seconds())
            except StoreUnavailable as error:
                failures += 1
                _log.warning("the outbox waits for its store", error=str(error))
                self._woken.wait(STORE_RETRY.wait(failures))
            self._woken.clear()
        self._finish()

    def _run_and_tell(self, on_failure: Callable[[TrunklineError], None] | None) -> None:
        try:
            self.run()
        except Exception as error:  # noqa: BLE001 - a thread's end must be heard of, whatever ended it
            _log.error("the relay has ended", error=repr(error))
            if on_failure is not None:
                if not isinstance(error, TrunklineError):
                    error = TrunklineError(f"the outbox relay failed: {error!r}")
                on_failure(error)

    def _turn(self) -> None:
        self._settle()
        self._claim()
        self._read()
        self._hand_over()

    def _claim(self) -> None:
        now = self._monotonic()
        if now < self._renew_at:
            return
        if now >= self._lease_until:
            self._hold(frozenset())
        with self._store.write() as tx:
            lanes = claims.keep(
                tx, self.owner, lease_ms=int(self._lease_seconds * 1000), wall_ms=self._now_ms()
            )
        self._renew_at = now + self._lease_seconds / LEASE_PARTS
        self._lease_until = now + self._lease_seconds
        self._hold(lanes)
        self._claimed.set()
        with self._store.read() as tx:
            self._metrics.look(rows.status(tx), now_ms=self._now_ms())

    def _hold(self, lanes: frozenset[int]) -> None:
        if lanes != self._lanes:
            self._lanes = lanes
            self._backlog.drop(self._serves)
            self._read_at = 0.0
            self._metrics.lanes.set(len(lanes))

    def _serves(self, tenant: str) -> bool:
        return claims.lane_of(tenant) in self._lanes

    def _read(self) -> None:
        now = self._monotonic()
        due = self._nudged or now >= self._read_at
        if not due or not self._lanes:
            return
        if self._backlog.waiting >= IN_MEMORY_MAX:
            self._read_at = now + POLL.first
            return
        self._nudged = False
        removed = set(self._removable)
        with self._store.read() as tx:
            tenants = rows.tenants_behind(tx, self._behind)
            wanted = [name for name in tenants if self._serves(name) and self._backlog.wants(name, now)]
            room = (IN_MEMORY_MAX - self._backlog.waiting) // rows.PER_TENANT_MAX + 1
            found = rows.heads(tx, wanted[:room])
        self._backlog.load(event for event in found if event.position not in removed)
        more = len(wanted) > room or len(tenants) == rows.TENANTS_MAX
        self._behind = (wanted[room - 1] if len(wanted) > room else tenants[-1]) if more else ""
        self._empty_reads = 0 if found else self._empty_reads + 1
        self._read_at = now + (0 if more else POLL.wait(max(1, self._empty_reads)))

    def _hand_over(self) -> None:
        for event in self._backlog.take(UNDER_WAY_MAX):
            try:
                envelope = event.envelope()
                self._open_lane(event)
                delivery = self._publisher.publish_envelope(envelope)
            except (PublishRefused, DeliveryRejected, CodecError, Unavailable) as error:
                self._outcomes.append((event, error))
                self._woken.set()
            else:
                delivery.when_done(partial(self._heard, event))

    def _open_lane(self, event: Pending) -> None:
        """Tell the publisher if it waits for another event to be repeated: that one is discarded, or was
        delivered by another relay, or it would be the tenant's first."""
        failed = self._failed.pop((event.topic, event.tenant), None)
        if failed is not None and failed.event_id != event.id:
            self._publisher.give_up(failed)

    def _heard(self, event: Pending, delivery: Delivery) -> None:
        outcome = delivery.outcome
        assert outcome is not None
        if not isinstance(outcome, Delivered):
            self._failed[event.topic, event.tenant] = delivery
        self._outcomes.append((event, outcome))
        self._woken.set()

    def _settle(self) -> None:
        """Act on the outcomes so far; the rows go together, in one transaction."""
        now = self._monotonic()
        failed: list[tuple[Pending, TrunklineError]] = []
        while self._outcomes:
            event, outcome = self._outcomes.popleft()
            if isinstance(outcome, Delivered):
                self._backlog.delivered(event)
                self._removable.append(event.position)
                self._metrics.published.inc()
            else:
                self._backlog.failed(event, now)
                failed.append((event, outcome))
        if not self._removable and not failed:
            return
        with self._store.write() as tx:
            rows.remove(tx, self._removable)
            for event, error in failed:
                self._record_failure(tx, event, error)
        self._removable.clear()

    def _record_failure(self, tx: Connection, event: Pending, error: TrunklineError) -> None:
        refused = not isinstance(error, Unavailable)
        rows.failed(tx, event.position, error=str(error), refused=refused, now_ms=self._now_ms())
        self._metrics.failed(refused=refused)
        report = _log.error if refused else _log.warning
        report(
            "a tenant's events wait behind one that was refused"
            if refused
            else "an event is published again",
            tenant=event.tenant,
            event_id=event.id,
            topic=event.topic,
            outbox_position=event.position,
            error=str(error),
        )

    def _idle_seconds(self) -> float:
        if self._outcomes:
            return 0.0
        now = self._monotonic()
        wait = min(self._renew_at, max(self._read_at, now) if self._lanes else self._renew_at) - now
        if self._backlog.waiting and self._backlog.under_way < UNDER_WAY_MAX:
            return min(wait, POLL.first)
        return max(0.0, wait)

    def _finish(self) -> None:
        """Give what is under way its time, remove what was delivered, and let others have the lanes."""
        self._hold(frozenset())
        deadline = self._monotonic() + STOP_SECONDS
        while True:
            try:
                self._settle()
                if not self._backlog.under_way or self._monotonic() > deadline:
                    with self._store.write() as tx:
                        claims.leave(tx, self.owner)
                    return
            except StoreUnavailable as error:
                # What stays in the table is published again; the claims run out by themselves.
                _log.warning("the outbox's store is away while the relay stops", error=str(error))
                return
            self._woken.wait(POLL.longest)
            self._woken.clear()

    def _now_ms(self) -> int:
        return int(self._wall() * 1000)
