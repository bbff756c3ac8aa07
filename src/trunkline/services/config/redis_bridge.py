"""Repeats changes that are on the topic on a Redis Pub/Sub channel, for listeners that want to hear soon.

Kafka stays the truth: a message has no value, only which version of what there is now, and Pub/Sub promises
its listeners nothing. So while Redis is away nothing waits for it: what is too old by the time it is back is
counted and left out. One instance at a time repeats, under a lease.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import Connection, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.client import failpoints
from trunkline.client.store import Store
from trunkline.errors import InvalidInput, Unavailable
from trunkline.services.app import Settings
from trunkline.services.config import book, queries
from trunkline.services.config.metrics import ConfigMetrics
from trunkline.services.config.tables import CONFIG_CURSOR
from trunkline.services.config.views import ChangeView
from trunkline.services.settings.config import REDIS, RedisTarget

if TYPE_CHECKING:
    from redis import Redis

CURSOR: Final = "redis"
POLL_SECONDS: Final = 0.1
"""How late a change may be that came without waking this instance."""

IDLE_SECONDS: Final = 2.0
LEASE: Final = timedelta(seconds=10)
RENEW: Final = timedelta(seconds=3)
AT_ONCE_MAX: Final = 500
OLDEST: Final = timedelta(seconds=60)
"""A change that was made longer ago is not repeated: who wanted it soon has heard of it elsewhere."""

TIMEOUT_SECONDS: Final = 1.0
"""To connect and to answer. A hanging Redis holds up this thread only."""

_T: Final = CONFIG_CURSOR.c


class RedisBridge:
    """The work of a `Worker`; follows the setting `config.redis`."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        metrics: ConfigMetrics,
        *,
        owner: str,
        wall: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._owner = owner
        self._wall = wall
        self._target: RedisTarget | None = None
        self._client: Redis | None = None
        self._lease_until: datetime | None = None
        self.refusal: str | None = None
        """Why the setting as it is cannot be followed; the one before it still is."""

    def __call__(self) -> float:
        """Repeat what is new; returns in how many seconds to look again. Raises `Unavailable`."""
        self._follow_setting()
        if self._target is None:
            return IDLE_SECONDS
        if not self._hold():
            self._metrics.connected.set(0)
            return IDLE_SECONDS
        with self._store.read() as tx:
            after = tx.execute(select(_T.seq).where(_T.name == CURSOR)).scalar_one()
            changes = queries.changes_after(tx, after, limit=AT_ONCE_MAX)
        oldest = self._wall() - OLDEST
        fresh = [change for change in changes if change.at >= oldest]
        self._repeat(self._target, fresh)
        if changes:
            self._metrics.published.inc(len(fresh))
            self._metrics.dropped.inc(len(changes) - len(fresh))
            with self._store.write() as tx:
                tx.execute(update(CONFIG_CURSOR).where(_T.name == CURSOR).values(seq=changes[-1].place))
        return 0.0 if len(changes) == AT_ONCE_MAX else POLL_SECONDS

    def _follow_setting(self) -> None:
        value = self._settings.resolve(REDIS.pattern).value
        try:
            target = None if value is None else REDIS.read(REDIS.pattern, value)
        except InvalidInput as error:
            self.refusal = str(error)
            return
        self.refusal = None
        if target != self._target:
            self._close()
            self._target = target

    def _hold(self) -> bool:
        """Whether this instance is the one that repeats."""
        now = self._wall()
        if self._lease_until is not None and now < self._lease_until - LEASE + RENEW:
            return True
        with self._store.write() as tx:
            held = _take_lease(tx, self._owner, now=now)
        self._lease_until = now + LEASE if held else None
        return held

    def _repeat(self, target: RedisTarget, changes: Sequence[ChangeView]) -> None:
        from redis import RedisError

        try:
            if self._client is None:
                self._client = _connect(target)
                self._client.ping()
            if changes:
                with self._client.pipeline(transaction=False) as pipeline:
                    for change in changes:
                        pipeline.publish(target.channel, message(change))
                    pipeline.execute()
        except (RedisError, OSError, ValueError) as error:
            self._metrics.failures.inc()
            self._close()
            raise Unavailable(f"redis {target.url}: {error}; changes are repeated when it is back") from error
        self._metrics.connected.set(1)
        failpoints.reach("config.repeated")

    def _close(self) -> None:
        self._metrics.connected.set(0)
        if self._client is not None:
            self._client.close()
            self._client = None


def message(change: ChangeView) -> bytes:
    """What listeners get: which version of what there is now, as a JSON object."""
    said: dict[str, Any] = {
        "key": change.key,
        "kind": change.kind,
        "level": change.level,
        "scope": change.scope,
        "version": change.version,
        "in_force": change.in_force,
        "event_id": change.event_id,
        "time": change.at,
    }
    return msgspec.json.encode(said)


def _connect(target: RedisTarget) -> "Redis":
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise Unavailable("the setting config.redis needs redis; pip install trunkline[redis]") from error
    return Redis.from_url(
        target.url,
        password=target.secret(),
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def _take_lease(tx: Connection, owner: str, *, now: datetime) -> bool:
    insert = (sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert)(CONFIG_CURSOR)
    row = {"name": CURSOR, "owner": owner, "expires_us": 0, "seq": book.last_place(tx)}
    tx.execute(insert.on_conflict_do_nothing(), [row])
    free = or_(_T.owner == owner, _T.expires_us <= book.to_us(now))
    taken = tx.execute(
        update(CONFIG_CURSOR)
        .where(_T.name == CURSOR, free)
        .values(owner=owner, expires_us=book.to_us(now + LEASE))
    )
    return taken.rowcount == 1
