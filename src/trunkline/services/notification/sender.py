"""Sends what is due: leases in batches, sends on threads, records in batches.

    lease and record, one transaction ──▶ queue ──▶ threads: render, send ──▶ queue ──▶ lease and record …

One thread alone works on the store. Between a lease and its record nothing is held but the lease itself, so
a crash there costs at most one further copy of what was under way, with the same id, once the lease is over.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Final

from trunkline.client.errors import StoreUnavailable
from trunkline.client.failpoints import reach
from trunkline.client.log import Log
from trunkline.client.store import Store
from trunkline.errors import TrunklineError
from trunkline.services.notification.channels import Message, Result
from trunkline.services.notification.configuration import Configuration
from trunkline.services.notification.handler import unix_us
from trunkline.services.notification.leasing import Endpoint, Lease, Terms, any_due, lease
from trunkline.services.notification.metrics import Metrics
from trunkline.services.notification.recording import Ended, record
from trunkline.services.notification.rendering import Text, rendered
from trunkline.services.notification.schedule import Schedule
from trunkline.services.notification.ways import Ways
from trunkline.services.settings.templating import TemplateFailed

SECOND_US: Final = 1_000_000
SEND_SECONDS: Final = 25.0
"""The longest that an attempt may take; a lease with less left is not used."""
RETRY_S: Final = 1.0
"""The wait after the store was away."""
GATHER_S: Final = 0.02
"""How long outcomes are gathered, so that many are recorded in one transaction."""

_log = Log(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderOptions:
    """How much is under way at once, and the waits.

    `endpoint_max` is below `threads`, so that no endpoint can keep them all; `slow_max` is for one whose last
    attempt failed.
    """

    threads: int = 128
    under_way_max: int = 256
    endpoint_max: int = 96
    slow_max: int = 2
    poll_s: float = 0.05
    lease_s: float = 60.0
    schedule: Schedule = field(default_factory=Schedule)


class Sender:
    """A `services.app.Companion`. Several, in as many processes, may work on one store."""

    def __init__(
        self,
        store: Store,
        configuration: Configuration,
        ways: Ways,
        metrics: Metrics,
        *,
        holder: str,
        options: SenderOptions,
        on_failure: Callable[[TrunklineError], None],
        now_us: Callable[[], int] = unix_us,
    ) -> None:
        self._store = store
        self._configuration = configuration
        self._ways = ways
        self._metrics = metrics
        self._holder = holder
        self._options = options
        self._on_failure = on_failure
        self._now_us = now_us
        self._ended: SimpleQueue[Ended] = SimpleQueue()
        self._unrecorded: list[Ended] = []
        self._under_way: Counter[Endpoint] = Counter()
        self._failing: set[Endpoint] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notification-sender", daemon=True)
        self._threads = ThreadPoolExecutor(options.threads, thread_name_prefix="notification-send")

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is under way, record it, and end. Safe to call twice, and without `start`."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._threads.shutdown()
        self._ways.connections.close()

    def _run(self) -> None:
        try:
            while not (self._stop.is_set() and not self._under_way and not self._unrecorded):
                self._pass()
        except Exception as error:  # noqa: BLE001 - a service that sends nothing must not seem to be well
            self._on_failure(TrunklineError(f"notifications cannot be sent any more: {error!r}"))

    def _pass(self) -> None:
        self._gather()
        self._ways.connections.end_overdue()
        leases: Sequence[Lease] = ()
        try:
            leases = self._work_on_store()
        except StoreUnavailable as error:
            _log.warning("deliveries have to wait", error=str(error))
            self._stop.wait(RETRY_S)
            if self._stop.is_set() and not self._under_way:
                # Nobody will hear how these ended; their leases run out, and they are sent again.
                self._unrecorded.clear()
        if leases:
            reach("notification.leased")
        for one in leases:
            self._under_way[one.endpoint] += 1
            self._threads.submit(self._send, one)

    def _gather(self) -> None:
        """Wait for outcomes, or for the next time to look for what is due."""
        wait = self._options.poll_s
        if not self._unrecorded:
            try:
                self._note(self._ended.get(timeout=wait))
            except Empty:
                return
        deadline = time.monotonic() + GATHER_S
        while self._under_way and len(self._unrecorded) < self._options.under_way_max:
            try:
                self._note(self._ended.get(timeout=max(0.0, deadline - time.monotonic())))
            except Empty:
                return

    def _note(self, ended: Ended) -> None:
        endpoint = ended.lease.endpoint
        self._under_way[endpoint] -= 1
        if self._under_way[endpoint] <= 0:
            del self._under_way[endpoint]
        if ended.result.outcome == "sent":
            self._failing.discard(endpoint)
        else:
            self._failing.add(endpoint)
        self._unrecorded.append(ended)

    def _work_on_store(self) -> list[Lease]:
        now_us = self._now_us()
        room = self._options.under_way_max - self._under_way.total()
        wants = room > 0 and not self._stop.is_set()
        if not self._unrecorded:
            if not wants:
                return []
            with self._store.read() as tx:
                if not any_due(tx, now_us=now_us):
                    return []
        leases: list[Lease] = []
        with self._store.write() as tx:
            disabled = record(
                tx,
                self._unrecorded,
                self._options.schedule,
                holder=self._holder,
                now_us=now_us,
                chance=random.random(),  # noqa: S311 - to spread retries, not to hide anything
            )
            if wants:
                leases = lease(tx, self._configuration, self._terms(room, now_us))
        self._count(self._unrecorded, disabled)
        self._unrecorded = []
        return leases

    def _terms(self, room: int, now_us: int) -> Terms:
        left = {
            endpoint: (self._options.slow_max if endpoint in self._failing else self._options.endpoint_max)
            - self._under_way[endpoint]
            for endpoint in (*self._failing, *self._under_way)
        }
        return Terms(
            holder=self._holder,
            limit=room,
            now_us=now_us,
            lease_us=int(self._options.lease_s * SECOND_US),
            endpoint_max=self._options.endpoint_max,
            room=left,
        )

    def _count(self, ended: Sequence[Ended], disabled: Sequence[Endpoint]) -> None:
        for one in ended:
            kind = type(one.lease.channel.channel).__struct_config__.tag
            self._metrics.attempted(str(kind), one.result.outcome)
            if one.lease.attempt == 1:
                self._metrics.began((one.at_us + one.took_us - one.lease.due_us) / SECOND_US)
            if one.text is None:
                self._metrics.render_failed()
        for endpoint in disabled:
            self._metrics.disabled_endpoint()
            _log.warning("an endpoint was disabled", owner=endpoint.owner, channel=endpoint.channel)

    def _send(self, one: Lease) -> None:
        """On a thread of the pool; whatever happens, an outcome follows."""
        began_us = self._now_us()
        text: Text | None = None
        try:
            text = rendered(self._configuration, one.content)
            if began_us + SEND_SECONDS * SECOND_US > one.until_us:
                result = Result("retry", detail="the lease was nearly over before its turn came")
            else:
                result = self._ways.send(one.channel, message_of(one, text))
                reach("notification.sent")
        except TemplateFailed as error:
            result = Result("refused", detail=f"template {one.content.row['template']}: {error}")
        except StoreUnavailable as error:
            result = Result("retry", detail=str(error))
        except Exception as error:  # noqa: BLE001 - a bug in one channel must not stop the others
            what = "an attempt failed in a way that nobody has thought of, and is made again"
            _log.error(what, delivery=one.id, error=repr(error))
            result = Result("retry", detail=f"{type(error).__name__}: {error}")
        took_us = max(0, self._now_us() - began_us)
        self._ended.put(Ended(lease=one, result=result, at_us=began_us, took_us=took_us, text=text))


def message_of(one: Lease, text: Text) -> Message:
    """The delivery as its channel gets it."""
    row = one.content.row
    return Message(
        id=one.id,
        notification=row["id"],
        tenant=one.tenant,
        channel=one.channel.name,
        target=one.target,
        kind=row["kind"],
        rule=row["rule"],
        title=row["title"],
        severity=row["severity"],
        category=row["category"],
        time_us=row["created_us"],
        subject=text.subject,
        text=text.text,
        html=text.html,
        count=one.content.count,
        items=tuple(dict(item) for item in one.content.items),
    )
