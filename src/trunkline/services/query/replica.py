"""Every tenant's policies as this instance knows them, and how good that knowledge is. Sans-IO.

What decides is replaced whole: once everything was read that was in the topic, then batch by batch. Until
then it is what was kept from before, which is stale. Two things must be true for it to be fresh: everything
in the topic has been read, and governance was heard of (`policy.heartbeat.v1`), both within the bound. A
topic that is read to its end while governance cannot write to it proves nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Final

import msgspec

from trunkline.catalogue.events.policy import ClassificationChanged, PolicyHeartbeat
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.broadcast.course import NEVER, Assignment, Course, Sighting
from trunkline.codec import CodecError, Record, decode
from trunkline.services.policies.bundle import Bundle, Bundles
from trunkline.services.policies.policy import asset_key

_HEARTBEAT: Final = ("ce_type", b"policy.heartbeat.v1")

_canonical: Final = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantPolicies:
    """What is known of one tenant. `tags` are its classifications by asset, spelled as
    `services.policies.policy.asset_key` does.

    `incomplete` says why a newer revision than the active one could not be activated, `incomplete_at` since
    when.
    """

    bundle: Bundle
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tags_digest: str = ""
    incomplete: str | None = None
    incomplete_at: float = NEVER


View = Mapping[str, TenantPolicies]
EMPTY: Final[View] = MappingProxyType({})


class _Tenant:
    """One tenant's events, added up."""

    def __init__(self, tenant: str) -> None:
        self.bundles = Bundles(tenant)
        self.tags: dict[str, str] = {}
        self._incomplete_at = NEVER

    def go_on_from(self, before: TenantPolicies) -> None:
        """What was read has no bundle: that of before decides until governance repeats the newest."""
        why = self.bundles.incomplete or "nothing of its policies is in the topic"
        self.bundles = Bundles(before.bundle.tenant, before.bundle)
        self.bundles.incomplete = why
        self.tags = {**before.tags, **self.tags}

    def known(self, now: float) -> TenantPolicies:
        if self.bundles.incomplete is None:
            self._incomplete_at = NEVER
        elif self._incomplete_at == NEVER:
            self._incomplete_at = now
        return tenant_policies(
            self.bundles.active,
            self.tags,
            incomplete=self.bundles.incomplete,
            incomplete_at=self._incomplete_at,
        )


class PolicyReplica:
    """Fed by one thread; the view and the times may be read by any. Times are of a monotonic clock."""

    def __init__(self, *, stale_seconds: float) -> None:
        self.stale_seconds = stale_seconds
        self._course = Course()
        self._tenants: dict[str, _Tenant] = {}
        self._adopted = False
        self._heard_at = NEVER
        self._told = 0
        self._ended: frozenset[str] = frozenset()
        self.view: View = EMPTY
        """What decides."""
        self._bundles = 0
        self.known = False
        """Whether there is a view at all: kept from before, or read."""
        self.fresh_until = NEVER
        """From then on the view is stale, unless it is moved on."""
        self.rejected = 0
        """How many records of the topic could not be applied."""
        self.last_rejected = ""

    @property
    def current_at(self) -> float:
        """When everything had been read the last time."""
        return self._course.current_at

    @property
    def heard_at(self) -> float:
        """When governance sent the newest heartbeat."""
        return self._heard_at

    @property
    def unread(self) -> int:
        """How many bundles governance has, by its newest heartbeat, beyond those that are known here."""
        return self._told - self._bundles

    @property
    def positions(self) -> dict[int, int]:
        """The next offset of each partition."""
        return self._course.positions

    @property
    def adopted(self) -> bool:
        """Whether the view is what the topic says, and not what was kept from before."""
        return self._adopted

    def remember(self, kept: View) -> None:
        """What was kept from before, to decide by until the topic has been read."""
        self.view, self.known = kept, True

    def forget(self, ended: Collection[str]) -> None:
        """These tenants have ended: nothing of them is known any more, or taken in again."""
        self._ended = frozenset(ended)
        gone = self._ended & (self.view.keys() | self._tenants.keys())
        if gone:
            self._tenants = {name: one for name, one in self._tenants.items() if name not in gone}
            self.view = MappingProxyType({name: one for name, one in self.view.items() if name not in gone})
            self._count()

    def start_over(self) -> None:
        """The consumer is a new one: the next sighting begins at the beginning."""
        self._course.restarted()

    def seen(self, sighting: Sighting) -> Assignment | None:
        """The cluster was asked; returns what to read from now on if that has changed."""
        assignment = self._course.seen(sighting)
        if assignment is not None and assignment.fresh:
            self._tenants, self._adopted, self._heard_at, self._told = {}, False, NEVER, 0
            self.rejected, self.last_rejected = 0, ""
        self._show({})
        return assignment

    def read(self, records: Sequence[Record], ends: Mapping[int, int], *, now: float, wall: datetime) -> None:
        """These came, and then the ends of these partitions. `now` and `wall` are the same moment."""
        new = _without_old_heartbeats(records)
        changed = {tenant for record in new if (tenant := self._applied(record, now, wall))}
        self._course.read(records, ends)
        self._show({tenant: self._tenants[tenant].known(now) for tenant in changed})

    def _applied(self, record: Record, now: float, wall: datetime) -> str | None:
        """Take in a record; returns the tenant of whom something may have changed."""
        try:
            event = decode(record)
        except CodecError as error:
            self._reject(record, error.reason, str(error))
            return None
        if isinstance(event.data, PolicyHeartbeat):
            if event.tenantid == SYSTEM_TENANT:
                # Clocks that run ahead make nothing fresher than now.
                age = max(0.0, (wall - event.data.sent_at).total_seconds())
                self._heard_at = max(self._heard_at, now - age)
                self._told = event.data.bundles
            return None
        if event.tenantid in self._ended:
            return None
        tenant = self._tenants.setdefault(event.tenantid, _Tenant(event.tenantid))
        if isinstance(event.data, ClassificationChanged):
            tenant.tags[asset_key(event.data.asset)] = event.data.classification
        try:
            tenant.bundles.apply(event.data)
        except Exception as error:  # noqa: BLE001 - one tenant's event may not keep the others' from being applied
            self._reject(record, "failed", repr(error))
            tenant.bundles.incomplete = f"an event could not be applied: {error!r}"
        return event.tenantid

    def _reject(self, record: Record, reason: str, detail: str) -> None:
        self.rejected += 1
        self.last_rejected = f"{record.topic}/{record.partition}@{record.offset} {reason}: {detail}"

    def _show(self, changed: Mapping[str, TenantPolicies]) -> None:
        if not self._adopted:
            # A topic that was emptied or made anew says nothing about what was known before.
            if not self._course.current or (self.view and not self._tenants):
                return
            self._adopted = self.known = True
            self._keep_what_is_missing()
            self.view = MappingProxyType(
                {tenant: one.known(self._course.current_at) for tenant, one in self._tenants.items()}
            )
            self._count()
        elif changed:
            self.view = MappingProxyType({**self.view, **changed})
            self._count()
        self.fresh_until = min(self._course.current_at, self._heard_at) + self.stale_seconds

    def _count(self) -> None:
        self._bundles = sum(one.bundle.revision > 0 for one in self.view.values())

    def _keep_what_is_missing(self) -> None:
        for tenant, before in self.view.items():
            if before.bundle.revision == 0:
                continue
            found = self._tenants.setdefault(tenant, _Tenant(tenant))
            if found.bundles.active.revision == 0:
                found.go_on_from(before)


def tenant_policies(
    bundle: Bundle, tags: Mapping[str, str], *, incomplete: str | None = None, incomplete_at: float = NEVER
) -> TenantPolicies:
    """These policies and classifications, with their digest."""
    return TenantPolicies(
        bundle=bundle,
        tags=MappingProxyType(dict(tags)),
        tags_digest=sha256(_canonical(tags)).hexdigest() if tags else "",
        incomplete=incomplete,
        incomplete_at=incomplete_at,
    )


def _is_heartbeat(record: Record) -> bool:
    """Whether a record says that it is one, without decoding it."""
    return _HEARTBEAT in record.headers


def _without_old_heartbeats(records: Sequence[Record]) -> Iterable[Record]:
    """Of the heartbeats in a batch only the last: a month of them is half a million records."""
    last = max((number for number, record in enumerate(records) if _is_heartbeat(record)), default=-1)
    return [record for number, record in enumerate(records) if number == last or not _is_heartbeat(record)]
