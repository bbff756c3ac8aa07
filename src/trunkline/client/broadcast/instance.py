"""The configuration of one instance of a service, kept up to date by a thread of its own.

    with Broadcast(service="query-engine", instance="host-1", connection=..., catalogue=...) as config:
        config.wait_current(10)
        limit = config.resolve("query.rows_max", tenant="acme", default=10_000).value

It reads all partitions from their beginning and commits nothing: what a new instance knows comes from the
topic alone. While the cluster is away, the last known good values stay, and after a bound they are STALE.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

from prometheus_client import CollectorRegistry

from trunkline.catalogue.events.config import TOPIC
from trunkline.catalogue.model import Catalogue
from trunkline.client.broadcast.acknowledgement import Acknowledgement
from trunkline.client.broadcast.course import NEVER
from trunkline.client.broadcast.entries import Reason, Rejected, Resolution
from trunkline.client.broadcast.herald import Herald
from trunkline.client.broadcast.keeping import keep, kept
from trunkline.client.broadcast.metrics import BroadcastMetrics
from trunkline.client.broadcast.options import BroadcastOptions
from trunkline.client.broadcast.replica import Rejection, Replica
from trunkline.client.broadcast.state import EMPTY, View
from trunkline.client.config import ConnectionOptions
from trunkline.client.following import TopicFollower
from trunkline.client.log import Log
from trunkline.codec.record import Record
from trunkline.errors import InvalidInput

KEEP_SECONDS: Final = 5.0
"""How long a change may be missing in the file of what is known."""

REJECTED_LOGGED_MAX: Final = 20
"""Of one batch; the rest is counted."""

_log = Log("trunkline.broadcast")


class Broadcast:
    """One instance. Look-ups may come from any thread; a context manager that starts and stops."""

    def __init__(
        self,
        *,
        service: str,
        instance: str,
        connection: ConnectionOptions,
        catalogue: Catalogue,
        environment: str | None = None,
        options: BroadcastOptions | None = None,
        registry: CollectorRegistry | None = None,
        on_change: Callable[[], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`instance` names it among those of its service. `on_change` is called on its own thread.

        Raises `InvalidInput` for a service that does not consume the config topic, and for connection
        settings that the Kafka client refuses.
        """
        if TOPIC not in {topic.name for topic in catalogue.consumed_by(service)}:
            raise InvalidInput(f"{service} does not consume {TOPIC}; add it to the catalogue's consumers")
        self.service = service
        self.instance = instance
        self._environment = environment
        self._connection = connection
        self._options = options or BroadcastOptions()
        self._on_change = on_change
        self._monotonic = monotonic
        self._wall = wall
        self._replica = Replica(stale_seconds=self._options.stale_seconds)
        self._kept: View = EMPTY
        self._shown: View = EMPTY
        self._keep_due = NEVER
        self._current = threading.Event()
        self._herald: Herald | None = None
        self._follower = TopicFollower(
            connection,
            TOPIC,
            _Copy(self, self._replica),
            what="the configuration",
            check_seconds=self._options.check_seconds,
            log=_log,
            monotonic=monotonic,
        )
        self._metrics = BroadcastMetrics(
            registry or CollectorRegistry(),
            stale=lambda: self.stale,
            unconfirmed_seconds=lambda: monotonic() - self._replica.current_at,
            entries=lambda: len(self._replica.view),
        )

    # What a service asks

    def resolve(self, key: str, *, tenant: str | None = None, default: Any = None) -> Resolution:
        """The value of a setting for a tenant, else for this service, its environment, or everybody."""
        replica = self._replica
        found = replica.view.value(key, tenant=tenant, service=self.service, environment=self._environment)
        if found is not None and self._monotonic() < replica.fresh_until:
            return found
        return self._answered(found, default)

    def under(self, prefix: str) -> dict[tuple[str | None, str], Resolution]:
        """Every value in force whose key begins so, by tenant and key; None for what holds for everybody."""
        found = self._replica.view.under(prefix, service=self.service, environment=self._environment)
        return {name: self._answered(value, None) for name, value in found.items()}

    def flag(self, key: str, *, tenant: str, tier: str | None = None, default: bool = False) -> Resolution:
        """Whether a feature flag is on for a tenant of this tier; `value` is a bool."""
        found = self._replica.view.flag(key, tenant=tenant, tier=tier, now=self._wall())
        return self._answered(found, default)

    @property
    def stale(self) -> bool:
        """Whether it has been unknown for too long if there is something newer."""
        return self._monotonic() >= self._replica.fresh_until

    @property
    def digest(self) -> str:
        """Of what look-ups see: equal on two instances that know the same."""
        return self._replica.view.digest

    @property
    def rejected(self) -> int:
        """How many records of the topic could not be applied."""
        return self._replica.rejected

    @property
    def unready_reason(self) -> str | None:
        """Why this instance should get no traffic, as a sentence; None when it is up to date."""
        if not self.stale:
            return None
        why = self._follower.why_behind
        if self._replica.emptied:
            why = "the topic is empty, and what was known before is kept"
        if self._replica.fresh_until == NEVER:
            return f"the configuration was not read yet: {why}"
        return f"the configuration is stale, for {self._options.stale_seconds:g} s at least: {why}"

    # Its life

    def start(self) -> None:
        """Begin to read; look-ups answer from the file of what was known, if there is one, until then."""
        self._load_kept()
        self._shown = self._replica.view
        self._follower.start()

    def stop(self) -> None:
        """Read no more, and say so to the others. What is known stays, and becomes stale.

        Safe to call twice, and without `start`.
        """
        self._follower.stop()

    def wait_current(self, timeout: float) -> bool:
        """Wait until everything was read that was in the topic at the start; False after the time-out."""
        return self._current.wait(timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # On its follower's thread

    def _read(self, records: Sequence[Record], ends: Mapping[int, int]) -> None:
        self._metrics.read(len(records))
        self._tell_of_rejected(self._replica.read(records, ends))

    def _turned(self) -> None:
        before, self._shown = self._shown, self._replica.view
        self._tell_of_change(before)
        self._acknowledge(self._heard())
        if self._monotonic() >= self._keep_due:
            self._keep()

    def _ended(self) -> None:
        self._keep()
        self._heard().close(self._acknowledgement(stopped=True))

    def _heard(self) -> Herald:
        if self._herald is None:
            self._herald = Herald(self._connection, monotonic=self._monotonic)
        return self._herald

    def _tell_of_change(self, before: View) -> None:
        if self._replica.adopted:
            self._current.set()
        if self._on_change is not None and self._replica.view is not before:
            try:
                self._on_change()
            except Exception as error:  # noqa: BLE001 - the service's mistake must not stop its configuration
                _log.error("the service failed on a change of its configuration", error=repr(error))

    def _tell_of_rejected(self, rejections: list[Rejection]) -> None:
        for number, rejection in enumerate(rejections):
            self._metrics.rejected(rejection.reason)
            if number < REJECTED_LOGGED_MAX:
                _log.warning("config event rejected, the old value stays", rejected=str(rejection))

    def _acknowledge(self, herald: Herald) -> None:
        replica = self._replica
        news = (replica.topic_id, replica.positions, replica.rejected, self.stale)
        if herald.due(news):
            herald.say(self._acknowledgement(stopped=False), news)

    def _acknowledgement(self, *, stopped: bool) -> Acknowledgement:
        replica = self._replica
        return Acknowledgement(
            service=self.service,
            instance=self.instance,
            topic=TOPIC,
            topic_id=replica.topic_id,
            positions=replica.positions,
            digest=replica.state.digest,
            entries=len(replica.state),
            rejected=replica.rejected,
            last_rejected=None if replica.last_rejected is None else str(replica.last_rejected),
            stale=self.stale,
            stopped=stopped,
            at=self._wall(),
        )

    def _answered(self, found: Resolution | None, default: Any) -> Resolution:
        reason = Reason.STALE if self.stale else Reason.DEFAULT
        if found is None:
            return Resolution(default, None, None, reason)
        return Resolution(found.value, found.level, found.version, reason) if self.stale else found

    def _load_kept(self) -> None:
        path = self._options.last_known_good
        if path is None:
            return
        try:
            self._replica.remember(kept(path))
        except (Rejected, OSError) as error:
            _log.warning("the configuration that was kept cannot be used", error=str(error))
            return
        self._kept = self._replica.view

    def _keep(self) -> None:
        path, view = self._options.last_known_good, self._replica.view
        if path is None or not self._replica.adopted or view is self._kept:
            return
        self._keep_due = self._monotonic() + KEEP_SECONDS
        try:
            keep(path, self._replica.state.entries)
        except OSError as error:
            _log.warning("the configuration cannot be kept", path=str(path), error=str(error))
            return
        self._kept = view


class _Copy:
    """What the follower feeds: the replica, and around it what the instance has to tell."""

    def __init__(self, instance: Broadcast, replica: Replica) -> None:
        self.start_over = replica.start_over
        self.seen = replica.seen
        self.read = instance._read
        self.turned = instance._turned
        self.ended = instance._ended
        self._replica = replica

    @property
    def current_at(self) -> float:
        return self._replica.current_at
