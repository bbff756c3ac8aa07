"""What one event says about settings and flags, checked beyond its schema. Pure."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.config import (
    ConfigFlagChanged,
    ConfigValueSet,
    ConfigValueUnset,
    Key,
    Level,
)
from trunkline.catalogue.events.fields import Identifier, Instant, Percent, Positive
from trunkline.catalogue.names import SYSTEM_TENANT, TenantId
from trunkline.codec import Envelope
from trunkline.errors import TrunklineError

ENTRY_BYTES_MAX: Final = 512 * 1024
"""Of one entry as JSON. Half a message: whatever is in force must fit into a snapshot."""

DIGEST_MODULUS: Final = 1 << 256

Kind: TypeAlias = Literal["value", "flag"]


class Rejected(TrunklineError):  # noqa: N818 - named for what became of the event
    """An event that is valid by its schema and cannot be applied; what it would have changed stays."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Reason(StrEnum):
    """Why a look-up gave what it gave."""

    FOUND = "FOUND"
    DEFAULT = "DEFAULT"
    STALE = "STALE"
    """The instance has not heard for too long that it is up to date; the answer is the last one known."""


class Resolution(msgspec.Struct, frozen=True):
    """The answer to a look-up. `level` and `version` are None when nothing is set and `value` is the default.

    The value is shared by all callers: take it as read-only.
    """

    value: Any
    level: Level | None
    version: int | None
    reason: Reason


class FlagRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whom a feature flag is on for, from `config.flag_changed.v1`."""

    enabled: bool
    rollout_percent: Percent = 100
    tiers: tuple[Identifier, ...] = ()
    starts_at: Instant | None = None


class Name(NamedTuple):
    """What is set: a value on a level, or a flag of everybody (`global`) or of one tenant."""

    kind: Kind
    level: Level
    scope: str | None
    key: str


class Entry(msgspec.Struct, frozen=True):
    """What a name is set to. Without a value it is unset, and stays on record as that.

    An older event that comes late finds the version of the unset and cannot bring the value back.
    """

    version: int
    value: Any
    """UNSET, the value, or the `FlagRule`."""
    digest: int

    @property
    def in_force(self) -> bool:
        """Whether there is a value."""
        return self.value is not msgspec.UNSET

    def beats(self, other: "Entry") -> bool:
        """Whether this one wins. Equal versions of different content go by content, the same everywhere."""
        return (self.version, self.digest) > (other.version, other.digest)


class Listed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry as a snapshot lists it; one without `value` is unset."""

    key: Key
    level: Level
    version: Positive
    scope: Identifier | None = None
    kind: Kind = "value"
    value: Any = msgspec.UNSET


Change: TypeAlias = tuple[Name, Entry]

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def change_of(envelope: Envelope[Event]) -> Change:
    """The change in an event that is about one setting or flag. Raises `Rejected`."""
    event, tenant = envelope.data, envelope.tenantid
    match event:
        case ConfigValueSet():
            return _change(
                Name("value", event.level, event.scope, event.key), event.version, event.value, tenant
            )
        case ConfigValueUnset():
            name = Name("value", event.level, event.scope, event.key)
            return _change(name, event.version, msgspec.UNSET, tenant)
        case ConfigFlagChanged():
            rule = msgspec.UNSET if event.removed else _rule(event)
            return _change(_flag_name(event.key, tenant), event.version, rule, tenant)
        case _:
            raise Rejected("not_config", f"{envelope.type} says nothing about a setting")


def change_listed(item: Mapping[str, Any], tenant: TenantId) -> Change:
    """The change in one entry of a snapshot published under this tenant. Raises `Rejected`."""
    try:
        listed = msgspec.convert(item, Listed)
        value = listed.value
        if listed.kind == "flag" and value is not msgspec.UNSET:
            value = msgspec.convert(value, FlagRule)
    except msgspec.ValidationError as error:
        raise Rejected("invalid_entry", f"snapshot entry {item.get('key')!r}: {error}") from error
    return _change(Name(listed.kind, listed.level, listed.scope, listed.key), listed.version, value, tenant)


def listed_of(name: Name, entry: Entry) -> Listed:
    """The entry as a snapshot lists it."""
    return Listed(
        key=name.key,
        level=name.level,
        scope=name.scope,
        kind=name.kind,
        version=entry.version,
        value=entry.value,
    )


def digest_text(total: int) -> str:
    """The digest of a set of entries, as 64 hexadecimal digits, from the sum of theirs."""
    return f"{total % DIGEST_MODULUS:064x}"


def _change(name: Name, version: int, value: Any, tenant: TenantId) -> Change:
    _check_scope(name, tenant)
    encoded = _encode((name, version) if value is msgspec.UNSET else (name, version, value))
    if len(encoded) > ENTRY_BYTES_MAX:
        raise Rejected(
            "too_large",
            f"{name.key} takes {len(encoded)} bytes, more than the {ENTRY_BYTES_MAX} a snapshot can repeat; "
            "set a reference to it",
        )
    return name, Entry(version, value, int.from_bytes(hashlib.sha256(encoded).digest()))


def _check_scope(name: Name, tenant: TenantId) -> None:
    """One tenant's event changes nothing of another tenant, and nothing that everybody shares."""
    if (name.scope is None) != (name.level == "global"):
        wanted = "no scope" if name.level == "global" else "a scope"
        raise Rejected("invalid_scope", f"{name.key} on the level {name.level} takes {wanted}")
    if tenant == SYSTEM_TENANT:
        return
    if name.level != "tenant" or name.scope != tenant:
        where = name.level if name.scope is None else f"{name.level} {name.scope}"
        raise Rejected(
            "wrong_tenant",
            f"{name.key} of {where} cannot be set by an event of {tenant}; publish it under "
            f"{name.scope if name.level == 'tenant' else SYSTEM_TENANT}",
        )


def _flag_name(key: str, tenant: TenantId) -> Name:
    """Flags have no scope of their own: they are the tenant's whose event it is, or everybody's."""
    return (
        Name("flag", "global", None, key) if tenant == SYSTEM_TENANT else Name("flag", "tenant", tenant, key)
    )


def _rule(event: ConfigFlagChanged) -> FlagRule:
    return FlagRule(
        enabled=event.enabled,
        rollout_percent=event.rollout_percent,
        tiers=event.tiers,
        starts_at=event.starts_at,
    )


def share_of(key: str, tenant: str) -> int:
    """In which hundredth of all tenants one is for a flag, 0 to 99: the same on every instance."""
    return int.from_bytes(hashlib.sha256(f"{key}\0{tenant}".encode()).digest()[:8]) % 100


def is_on(rule: FlagRule, *, key: str, tenant: str, tier: str | None, now: datetime) -> bool:
    """Whether a flag is on for a tenant: its tier is named, or it is within the share of the others."""
    if not rule.enabled or (rule.starts_at is not None and now < rule.starts_at):
        return False
    return tier in rule.tiers or share_of(key, tenant) < rule.rollout_percent
