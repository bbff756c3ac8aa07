"""The events in a relay's memory, and which of them may be published now. Sans-IO; `now` is in seconds.

Of each tenant at most one event is under way. When it fails, what is in memory behind it is forgotten and
read again after a wait: an operator may have discarded it meanwhile.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from trunkline.client.backoff import Backoff
from trunkline.client.outbox.rows import Pending

RETRY: Final = Backoff(first=0.2, longest=30.0)


@dataclass(slots=True)
class _Tenant:
    waiting: deque[Pending] = field(default_factory=deque)
    under_way: Pending | None = None
    failures: int = 0
    retry_at: float = 0.0


class Backlog:
    """Not thread-safe: the relay's thread is its only user."""

    def __init__(self, retry: Backoff = RETRY) -> None:
        self._retry = retry
        self._tenants: dict[str, _Tenant] = {}
        self._ready: deque[str] = deque()
        self._waiting = 0
        self._under_way = 0

    @property
    def waiting(self) -> int:
        """Events in memory that nobody has taken yet."""
        return self._waiting

    @property
    def under_way(self) -> int:
        """Events that were taken and have no outcome yet."""
        return self._under_way

    def wants(self, tenant: str, now: float) -> bool:
        """Whether this tenant's events should be read: none in memory, none under way, and no wait on."""
        known = self._tenants.get(tenant)
        return known is None or not (known.waiting or known.under_way or now < known.retry_at)

    def load(self, events: Iterable[Pending]) -> None:
        """Take events that were read, all of tenants that are wanted, in order."""
        for event in events:
            tenant = self._tenants.setdefault(event.tenant, _Tenant())
            if not tenant.waiting:
                self._ready.append(event.tenant)
            tenant.waiting.append(event)
            self._waiting += 1

    def take(self, most: int) -> list[Pending]:
        """Events to publish now, one of a tenant, so that at most `most` are under way."""
        taken: list[Pending] = []
        while self._ready and self._under_way < most:
            tenant = self._tenants[self._ready.popleft()]
            event = tenant.under_way = tenant.waiting.popleft()
            self._waiting -= 1
            self._under_way += 1
            taken.append(event)
        return taken

    def delivered(self, event: Pending) -> None:
        """It is in the log: the tenant's next one may go."""
        tenant = self._settled(event)
        tenant.failures = 0
        if tenant.waiting:
            self._ready.append(event.tenant)
        else:
            del self._tenants[event.tenant]

    def failed(self, event: Pending, now: float) -> None:
        """It may be missing from the log: nothing of the tenant goes before it was published again."""
        tenant = self._settled(event)
        self._forget(tenant)
        tenant.failures += 1
        tenant.retry_at = now + self._retry.wait(tenant.failures)

    def drop(self, unless: Callable[[str], bool]) -> None:
        """Forget the tenants that are not served here any more, except for what is under way."""
        for name in [name for name in self._tenants if not unless(name)]:
            tenant = self._tenants[name]
            self._forget(tenant)
            if tenant.under_way is None:
                del self._tenants[name]
        self._ready = deque(name for name in self._ready if name in self._tenants and self._startable(name))

    def _startable(self, name: str) -> bool:
        tenant = self._tenants[name]
        return bool(tenant.waiting) and tenant.under_way is None

    def _settled(self, event: Pending) -> _Tenant:
        tenant = self._tenants[event.tenant]
        assert tenant.under_way is event, "an outcome for an event that is not under way"
        tenant.under_way = None
        self._under_way -= 1
        return tenant

    def _forget(self, tenant: _Tenant) -> None:
        self._waiting -= len(tenant.waiting)
        tenant.waiting.clear()
