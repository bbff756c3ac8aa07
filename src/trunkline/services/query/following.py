"""The policies of all tenants in this instance: read from the whole topic by a thread of its own."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Gauge

from trunkline.catalogue.events.policy import TOPIC
from trunkline.client.broadcast.course import NEVER, Assignment, Sighting
from trunkline.client.config import ConnectionOptions
from trunkline.client.following import TopicFollower
from trunkline.client.log import Log
from trunkline.codec.record import Record
from trunkline.errors import TrunklineError
from trunkline.services.policies.bundle import new_bundle
from trunkline.services.query.errors import PoliciesUnknown
from trunkline.services.query.keeping import Damaged, keep, kept
from trunkline.services.query.replica import (
    PolicyReplica,
    TenantPolicies,
    View,
    tenant_policies,
)

STALE_SECONDS: Final = 30.0
CHECK_SECONDS: Final = 2.0
KEEP_SECONDS: Final = 5.0
"""How long a change may be missing in the file of what is known, or an ended tenant be in it."""

_log = Log("trunkline.query")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What decides for a tenant right now. `stale` says why it may not be what holds any more, else None."""

    policies: TenantPolicies
    stale: str | None


class PolicySource(Protocol):
    """Who knows what decides."""

    def standing(self, tenant: str) -> Standing:
        """What decides for the tenant.

        Raises `PoliciesUnknown` while it is not known whether it has any policies: before anything was read,
        and for a tenant of which nothing is known, as long as something newer may have been missed.
        """


class KnownPolicies:
    """Policies as they are known, without anybody who follows them: for commands and tests."""

    def __init__(self, view: View, *, stale: str | None = None) -> None:
        self._view = view
        self._stale = stale

    def standing(self, tenant: str) -> Standing:
        """What decides for the tenant. Raises as `PolicySource.standing`."""
        return _standing(self._view.get(tenant) or _none_of(tenant), self._stale)


class PolicyFollower:
    """One instance's policies, a `services.app.Companion`. Look-ups may come from any thread."""

    def __init__(
        self,
        connection: ConnectionOptions,
        *,
        last_known_good: Path | None,
        ended: Callable[[], Collection[str]] = frozenset,
        registry: CollectorRegistry | None = None,
        stale_seconds: float = STALE_SECONDS,
        check_seconds: float = CHECK_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`ended` names the tenants of whom nothing is to be kept.

        Raises `InvalidInput` for settings that the Kafka client refuses.
        """
        self._path = last_known_good
        self._ended = ended
        self._monotonic = monotonic
        self._wall = wall
        self._replica = PolicyReplica(stale_seconds=stale_seconds)
        self._kept = self._replica.view
        self._keep_due = NEVER
        self._rejected_told = 0
        self._current = threading.Event()
        self._follower = TopicFollower(
            connection,
            TOPIC,
            _Copy(self),
            what="the policies",
            check_seconds=check_seconds,
            log=_log,
            monotonic=monotonic,
        )
        self._measure(registry or CollectorRegistry())

    def standing(self, tenant: str) -> Standing:
        """What decides for the tenant. Raises as `PolicySource.standing`."""
        replica = self._replica
        if not replica.known:
            raise PoliciesUnknown(f"the policies were not read yet: {self._follower.why_behind}")
        found = replica.view.get(tenant) or _none_of(tenant)
        why = self._why_stale(found)
        if why is None and replica.unread > 0:
            missed = f"{replica.unread} bundles of governance are not in the topic yet"
            return _standing(found, None, missed=missed)
        return _standing(found, why)

    @property
    def not_ready(self) -> str | None:
        """Why this instance should get no traffic, as a sentence; None while its policies are fresh."""
        now, replica = self._monotonic(), self._replica
        if now < replica.fresh_until:
            return None
        if not replica.adopted:
            return f"the policies were not read yet: {self._follower.why_behind}"
        if now >= replica.current_at + replica.stale_seconds:
            return f"the policies are stale: {self._follower.why_behind}"
        return f"nothing was heard of governance for {replica.stale_seconds:g} s"

    @property
    def why_behind(self) -> str:
        """What keeps this instance from having read all policies, as far as that is known."""
        return self._follower.why_behind

    def seconds_since(self, moment: float) -> float:
        """On the clock that the replica's times are of."""
        return self._monotonic() - moment

    @property
    def tenants(self) -> Mapping[str, TenantPolicies]:
        """What is known of each tenant."""
        return self._replica.view

    @property
    def replica(self) -> PolicyReplica:
        """For reading only: positions, rejections, times."""
        return self._replica

    def wait_current(self, seconds: float) -> bool:
        """Wait until everything was read that was in the topic at the start; False after the time-out."""
        return self._current.wait(seconds)

    def start(self) -> None:
        """Begin to read; what was kept decides until then, as stale."""
        self._remember()
        self._follower.start()

    def stop(self) -> None:
        """Read no more. What is known stays, and becomes stale. Safe to call twice, and without `start`."""
        self._follower.stop()

    def _why_stale(self, found: TenantPolicies) -> str | None:
        if (why := self.not_ready) is not None:
            return why
        if found.incomplete is None:
            return None
        if self._monotonic() < found.incomplete_at + self._replica.stale_seconds:
            return None
        return found.incomplete

    # On the follower's thread

    def _read(self, records: Sequence[Record], ends: Mapping[int, int]) -> None:
        self._replica.read(records, ends, now=self._monotonic(), wall=self._wall())

    def _turned(self) -> None:
        if self._replica.adopted:
            self._current.set()
        if self._replica.rejected > self._rejected_told:
            _log.warning("policy event rejected, the old policies stay", rejected=self._replica.last_rejected)
        self._rejected_told = self._replica.rejected
        if self._monotonic() >= self._keep_due:
            self._keep()

    def _keep(self) -> None:
        self._keep_due = self._monotonic() + KEEP_SECONDS
        try:
            self._replica.forget(self._ended())
        except TrunklineError as error:
            _log.warning("keeping the policies waits for the store", error=str(error))
            return
        view = self._replica.view
        if self._path is None or not self._replica.adopted or view is self._kept:
            return
        try:
            keep(self._path, view)
        except OSError as error:
            _log.warning("the policies cannot be kept", path=str(self._path), error=str(error))
            return
        self._kept = view

    def _remember(self) -> None:
        if self._path is None:
            return
        try:
            found = kept(self._path)
        except (Damaged, OSError) as error:
            _log.warning("the policies that were kept cannot be used", error=str(error))
            return
        if found is not None:
            self._replica.remember(found)
            self._kept = found

    def _measure(self, registry: CollectorRegistry) -> None:
        """Asked when the metrics are read, so that a thread that has died shows."""

        def gauge(name: str, text: str, function: Callable[[], float]) -> None:
            Gauge(f"trunkline_query_{name}", text, registry=registry).set_function(function)

        replica = self._replica
        gauge(
            "policies_stale",
            "1 while this instance does not know that its policies are those in force.",
            lambda: self.not_ready is not None,
        )
        gauge(
            "policies_unconfirmed_seconds",
            "Since this instance last knew that its policies were those in force.",
            lambda: self._monotonic() - (replica.fresh_until - replica.stale_seconds),
        )
        gauge("policies_tenants", "Tenants with policies or classifications.", lambda: len(replica.view))
        gauge(
            "policies_incomplete",
            "Tenants whose newest revision is not the active one here.",
            lambda: sum(one.incomplete is not None for one in replica.view.values()),
        )
        gauge(
            "policies_rejected",
            "Records of the policy topic that could not be applied.",
            lambda: replica.rejected,
        )


def _standing(found: TenantPolicies, stale: str | None, *, missed: str | None = None) -> Standing:
    """`missed` says why some tenants' policies, nobody knows whose, may never have been read."""
    why = stale or found.incomplete or missed
    if why is not None and found.bundle.revision == 0:
        raise PoliciesUnknown(f"it is not known which policies {found.bundle.tenant} has: {why}")
    return Standing(policies=found, stale=stale)


def _none_of(tenant: str) -> TenantPolicies:
    """Of a tenant without any policy."""
    return tenant_policies(new_bundle(tenant, 0, ()), {})


class _Copy:
    """What the `TopicFollower` feeds."""

    def __init__(self, policies: PolicyFollower) -> None:
        self._policies = policies
        self._replica = policies._replica

    def start_over(self) -> None:
        self._replica.start_over()

    def seen(self, sighting: Sighting) -> Assignment | None:
        return self._replica.seen(sighting)

    def read(self, records: Sequence[Record], ends: Mapping[int, int]) -> None:
        self._policies._read(records, ends)

    def turned(self) -> None:
        self._policies._turned()

    def ended(self) -> None:
        self._policies._keep()

    @property
    def current_at(self) -> float:
        return self._replica.current_at
