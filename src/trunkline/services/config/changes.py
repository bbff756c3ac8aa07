"""One change of a name: checked, numbered, on record and on its way out, in the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, select

from trunkline.catalogue.model import Catalogue
from trunkline.client.broadcast.entries import Name, Rejected, change_of
from trunkline.client.broadcast.writing import event_of, tenant_of
from trunkline.client.outbox import Outbox
from trunkline.codec import new_envelope
from trunkline.errors import InvalidInput, TrunklineError
from trunkline.services.config import book
from trunkline.services.config.checks import check_name, check_value
from trunkline.services.config.tables import CONFIG_ENTRY
from trunkline.services.kit.ending import TenantEnded, ended
from trunkline.services.settings.registry import Definition, Registry

TENANT_ENTRIES_MAX: Final = 1_000
"""Names on a tenant's own level: one tenant may not fill every instance's memory."""


class VersionConflict(TrunklineError):  # noqa: N818 - named for what happened
    """Somebody else has changed it since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What somebody wants. `value` is a JSON value, a `FlagRule`, or UNSET to take the name off the record.

    `expected` is the version that must be there, 0 for none yet; None: whatever is there.
    """

    name: Name
    value: Any
    actor: str
    reason: str | None = None
    expected: int | None = None
    origin: str = "set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of it. `changed` is False where it was so already: then nothing is published."""

    version: int
    changed: bool
    event_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What changes are checked against and published by."""

    catalogue: Catalogue
    registry: Registry
    outbox: Outbox


def check(draft: Draft, rules: Rules) -> Definition[Any] | None:
    """What defines the setting, if anything does. Raises `InvalidInput` with the reason for a refusal."""
    check_name(draft.name, rules.catalogue)
    return check_value(draft.name, draft.value, rules.registry)


def apply(
    tx: Connection, draft: Draft, rules: Rules, *, now: datetime, event_id: str | None = None
) -> Applied:
    """Make the change. Raises `InvalidInput`, `VersionConflict` and `TenantEnded`; nothing was changed."""
    definition = check(draft, rules)
    book.lock(tx)
    check_tenant(tx, draft.name)
    present = book.read(tx, draft.name)
    version = 0 if present is None else present.version
    if draft.expected is not None and draft.expected != version:
        raise VersionConflict(
            f"{draft.name.key} has version {version}, not {draft.expected}; look at it and try again"
        )
    value = msgspec.UNSET if present is None else present.value
    if _same(value, draft.value):
        return Applied(version=version, changed=False, event_id=None)
    if definition is not None and definition.beside is not None and draft.value is not msgspec.UNSET:
        others = book.of_everybody(tx, definition.beside.prefix)
        definition.require_goes_with(draft.name.key, draft.value, others)
    if present is None:
        _check_room(tx, draft.name)
    event = event_of(draft.name, draft.value, version=version + 1, actor=draft.actor, reason=draft.reason)
    envelope = new_envelope(
        event,
        tenant=tenant_of(draft.name),
        source=rules.outbox.source,
        id=event_id,
        time=now,
        subject=draft.name.key,
    )
    try:
        change = change_of(envelope)
    except Rejected as error:
        raise InvalidInput(str(error)) from error
    rules.outbox.add(tx, envelope)
    book.merge(tx, [(change, now, draft.actor)])
    told = book.Told(
        change=change,
        actor=draft.actor,
        reason=draft.reason,
        time=now,
        origin=draft.origin,
        event_id=envelope.id,
    )
    book.remember(tx, [told], from_topic=False)
    return Applied(version=version + 1, changed=True, event_id=envelope.id)


def check_tenant(tx: Connection, name: Name) -> None:
    """Raise `TenantEnded`. To be called under the book's lock, behind which a tenant that ends is erased."""
    if name.level == "tenant" and ended(tx, tenant=name.scope):
        raise TenantEnded(f"tenant {name.scope} was deleted; nothing can be set for it")


def _same(present: Any, wanted: Any) -> bool:
    """Whether nothing would change. As JSON, because 1, 1.0 and true are equal and not the same."""
    if present is msgspec.UNSET or wanted is msgspec.UNSET:
        return present is wanted
    return msgspec.json.encode(present, order="deterministic") == msgspec.json.encode(
        wanted, order="deterministic"
    )


def _check_room(tx: Connection, name: Name) -> None:
    if name.level != "tenant":
        return
    table = CONFIG_ENTRY.c
    mine = select(func.count()).where(table.level == "tenant", table.scope == name.scope)
    if tx.execute(mine).scalar_one() >= TENANT_ENTRIES_MAX:
        raise InvalidInput(
            f"tenant {name.scope} has {TENANT_ENTRIES_MAX} settings and flags of its own, no more"
        )
