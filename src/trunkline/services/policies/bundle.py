"""The set of policies that decides for a tenant, and how it follows from the tenant's policy.* events.

A bundle is activated by its members, revision and digest; the policies themselves were made known before, one
event each. Whoever follows the events activates a bundle only when it has all members and they have the
digest: else the old one stays active and the tenant is *incomplete* until a snapshot with whole policies
comes. Revisions grow; what is not newer than the active one is a repetition and ignored.

| event | effect |
|---|---|
| policy.published | the version is known |
| policy.revoked | the withdrawn versions are forgotten, unless they are active |
| policy.bundle_activated, `previous_revision` is the active one | activated, if complete |
| policy.bundle_activated with a gap before it | incomplete |
| policy.snapshot_published, all parts | activated, unless older |
| any other | none |

A gap is not bridged even where all members are known: a follower that has missed events has also missed
which versions are void, and only what is repeated whole can be trusted again.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

import msgspec

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.policy import (
    PolicyBundleActivated,
    PolicyPublished,
    PolicyRevoked,
    PolicySnapshotPublished,
)
from trunkline.services.policies.policy import Policy, policy_published

POLICIES_MAX: Final = 1_000
"""That people publish for a tenant: with ids of full length a third of an activation event."""

BUNDLE_BYTES_MAX: Final = 4 << 20
"""Of all policies as JSON."""

PART_BYTES_MAX: Final = 512 << 10
"""Of the policies in one part of a snapshot. The rest of the 1 MB is for the envelope."""

KNOWN_MAX: Final = 4 * POLICIES_MAX
"""Versions that a follower keeps beside the active ones. What it forgot it gets back by a snapshot."""

_canonical: Final = msgspec.json.Encoder(order="deterministic").encode

Key: TypeAlias = tuple[str, int]


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """The policies that decide for a tenant, by id. Revision 0 is the state before the first activation."""

    tenant: str
    revision: int
    policies: tuple[Policy, ...]
    digest: str

    @property
    def members(self) -> dict[str, int]:
        """Which version of which policy."""
        return {policy.policy_id: policy.version for policy in self.policies}


def bundle_digest(policies: Iterable[Policy]) -> str:
    """SHA-256 of the canonical JSON of the policies, sorted by id, as 64 hexadecimal digits."""
    return sha256(_canonical(_ordered(policies))).hexdigest()


def new_bundle(tenant: str, revision: int, policies: Iterable[Policy]) -> Bundle:
    """The bundle of these policies, at most one version of each."""
    ordered = _ordered(policies)
    return Bundle(tenant=tenant, revision=revision, policies=ordered, digest=bundle_digest(ordered))


def bundle_bytes(policies: Iterable[Policy]) -> int:
    """How large the policies are as JSON."""
    return len(_canonical(_ordered(policies)))


def activation(bundle: Bundle, *, previous_revision: int) -> PolicyBundleActivated:
    """The event that activates a bundle."""
    return PolicyBundleActivated(
        revision=bundle.revision,
        digest=bundle.digest,
        policies=len(bundle.policies),
        members=bundle.members,
        previous_revision=previous_revision,
    )


def snapshot_events(bundle: Bundle) -> list[PolicySnapshotPublished]:
    """The bundle with its policies, in as many parts as it takes. To be published in a row."""
    parts = list(_split(bundle.policies)) or [()]
    return [
        PolicySnapshotPublished(
            revision=bundle.revision,
            digest=bundle.digest,
            policies=tuple(msgspec.to_builtins(policy) for policy in part),
            part=number,
            parts=len(parts),
        )
        for number, part in enumerate(parts, 1)
    ]


def bundle_of_snapshot(tenant: str, parts: Sequence[PolicySnapshotPublished]) -> Bundle | None:
    """The bundle in the parts of one snapshot; None unless they are whole, valid and have its digest."""
    if [part.part for part in parts] != list(range(1, parts[0].parts + 1)):
        return None
    try:
        policies = [msgspec.convert(item, Policy) for part in parts for item in part.policies]
    except msgspec.ValidationError:
        return None
    found = new_bundle(tenant, parts[0].revision, policies)
    return found if found.digest == parts[0].digest else None


class Bundles:
    """One tenant's bundles as its events tell them, in order. Sans-IO; not thread-safe.

    `Bundle` and `Policy` are immutable: an active bundle can be handed to any thread, which goes on with it
    whatever is activated meanwhile.
    """

    def __init__(self, tenant: str, active: Bundle | None = None) -> None:
        """Begins with `active`, such as one from a file or an API, or without any policy."""
        self.tenant = tenant
        self.active = active or new_bundle(tenant, 0, ())
        self.incomplete: str | None = None
        """Why the newest revision is not the active one, as a sentence; None while it is."""
        self._newest = self.active.revision
        self._known: dict[Key, Policy] = {_key(policy): policy for policy in self.active.policies}
        self._parts: list[PolicySnapshotPublished] = []

    @property
    def newest_revision(self) -> int:
        """The highest revision that was heard of."""
        return self._newest

    def apply(self, event: Event) -> bool:
        """Take in an event of this tenant; returns whether another bundle is active now."""
        match event:
            case PolicyPublished():
                self._learn(policy_published(event))
            case PolicyRevoked():
                self._forget(event)
            case PolicyBundleActivated():
                return self._activated(event)
            case PolicySnapshotPublished():
                return self._repeated(event)
        return False

    def replace(self, bundle: Bundle) -> bool:
        """Take a whole bundle, such as one fetched from governance; returns whether it is active now.

        One that is older than the active one is ignored. One of the same revision and another digest is
        taken: the publisher's word counts.
        """
        if (bundle.revision, bundle.digest) == (self.active.revision, self.active.digest):
            self._settle()
            return False
        if bundle.revision < self.active.revision:
            return False
        self._activate(bundle)
        return True

    def _activated(self, event: PolicyBundleActivated) -> bool:
        if event.revision <= self.active.revision:
            if event.revision == self.active.revision and event.digest != self.active.digest:
                self.incomplete = f"revision {event.revision} was activated with two digests"
            return False
        self._newest = max(self._newest, event.revision)
        if event.previous_revision != self.active.revision:
            self.incomplete = (
                f"revision {event.revision} follows {event.previous_revision}, "
                f"and {self.active.revision} is active"
            )
            return False
        members = [self._known.get(key) for key in event.members.items()]
        found = new_bundle(self.tenant, event.revision, [member for member in members if member])
        missing = [key for key in event.members.items() if key not in self._known]
        if missing:
            policy_id, version = missing[0]
            self.incomplete = f"revision {event.revision}: version {version} of {policy_id} is not known"
            return False
        if found.digest != event.digest:
            self.incomplete = f"revision {event.revision}: its members do not have its digest"
            return False
        self._activate(found)
        return True

    def _repeated(self, event: PolicySnapshotPublished) -> bool:
        """The parts of a snapshot come in a row, some perhaps twice; another snapshot's begin anew."""
        first = self._parts[0] if self._parts else None
        if first is None or (first.revision, first.digest, first.parts) != _identity(event):
            self._parts = []
        if event.part != len(self._parts) + 1:
            return False
        self._parts.append(event)
        if len(self._parts) < event.parts:
            return False
        parts, self._parts = self._parts, []
        self._newest = max(self._newest, event.revision)
        found = bundle_of_snapshot(self.tenant, parts)
        if found is None and event.revision < self.active.revision:
            return False
        if found is None:
            self.incomplete = f"the snapshot of revision {event.revision} is damaged"
            return False
        return self.replace(found)

    def _activate(self, bundle: Bundle) -> None:
        for policy in bundle.policies:
            self._known[_key(policy)] = policy
        self.active = bundle
        self._newest = max(self._newest, bundle.revision)
        self._settle()
        self._trim()

    def _settle(self) -> None:
        if self.active.revision >= self._newest:
            self.incomplete = None

    def _learn(self, policy: Policy) -> None:
        # A version never changes, so what is active need not be learned again, and cannot be replaced.
        if self.active.members.get(policy.policy_id) != policy.version:
            self._known[_key(policy)] = policy
            self._trim()

    def _forget(self, event: PolicyRevoked) -> None:
        active = self.active.members
        for key in [key for key in self._known if key[0] == event.policy_id and key[1] <= event.version]:
            if active.get(key[0]) != key[1]:
                del self._known[key]

    def _trim(self) -> None:
        if len(self._known) <= KNOWN_MAX + len(self.active.policies):
            return
        active = self.active.members
        for key in [key for key in self._known if active.get(key[0]) != key[1]]:
            if len(self._known) <= KNOWN_MAX + len(active):
                return
            del self._known[key]


def _key(policy: Policy) -> Key:
    return policy.policy_id, policy.version


def _identity(event: PolicySnapshotPublished) -> tuple[int, str, int]:
    return event.revision, event.digest, event.parts


def _ordered(policies: Iterable[Policy]) -> tuple[Policy, ...]:
    return tuple(sorted(policies, key=lambda policy: policy.policy_id))


def _split(policies: Iterable[Policy]) -> Iterator[tuple[Policy, ...]]:
    part: list[Policy] = []
    size = 0
    for policy in policies:
        takes = len(_canonical(policy)) + 1
        if part and size + takes > PART_BYTES_MAX:
            yield tuple(part)
            part, size = [], 0
        part.append(policy)
        size += takes
    if part:
        yield tuple(part)
