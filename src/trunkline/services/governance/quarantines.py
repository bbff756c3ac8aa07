"""Keeps readers away from assets and lets them back: the decision, the events, the policy, the next revision.

A quarantined table or column gets a policy of kind `quarantine` over its table: `forbid` without a condition
that could fail. Whatever else is quarantined, a model for instance, is announced and nothing enforces it.

An *override*, the word of a person, decides alone until it ends; what checks want meanwhile is kept and
counts again then. Without an override an asset is quarantined exactly while one of its checks is failing. The
mode grows with its checks' and falls only by a release.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal, TypeAlias

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, delete, insert, select, tuple_

from trunkline.catalogue.events.policy import AssetQuarantined, AssetReleased, Mode
from trunkline.services.governance.hysteresis import MODES
from trunkline.services.governance.ledger import Cause, Ledger
from trunkline.services.governance.moments import from_us, to_us
from trunkline.services.governance.tables import CHECK, DECISION, OVERRIDE, QUARANTINE
from trunkline.services.policies.policy import Policy, table_covering

SERVICE: Final = "governance-service"
"""Who acts where nobody does."""

RELEASED: Final = "released"
"""What an override wants beside the modes."""

POLICY_PREFIX: Final = "quarantine:"
POLICY_ID_MAX: Final = 256
REASON_MAX: Final = 2_000

Wanted: TypeAlias = Mode | Literal["released"]
Place: TypeAlias = tuple[str, str]
"""Tenant and asset."""


class Quarantine(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps readers from an asset now."""

    decision_id: str
    mode: Mode
    reason: str
    since_us: int


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants of an asset until it ends."""

    wanted: Wanted
    decision_id: str
    actor_id: str
    reason: str
    since_us: int
    until_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do to an asset, and why. `mode` None releases it."""

    id: str
    tenant: str
    asset: str
    mode: Mode | None
    rule: str
    reason: str
    cause: Cause
    check_id: str | None = None
    source: str | None = None
    until: datetime | None = None


class Quarantines:
    """The quarantines of some assets, in the ledger's transaction."""

    def __init__(self, ledger: Ledger, places: Sequence[Place]) -> None:
        """The ledger must hold the tenants of all places."""
        self._ledger = ledger
        self._now = {
            (row.tenant, row.asset): msgspec.convert(row._mapping, Quarantine)
            for row in ledger.tx.execute(select(QUARANTINE).where(_at(QUARANTINE, places)))
        }
        self._overrides = {
            (row.tenant, row.asset): msgspec.convert(row._mapping, Override)
            for row in ledger.tx.execute(select(OVERRIDE).where(_at(OVERRIDE, places)))
        }

    def current(self, place: Place) -> Quarantine | None:
        """What keeps readers from the asset, if anything does."""
        return self._now.get(place)

    def override(self, place: Place) -> Override | None:
        """What a person wants of it, if anybody does."""
        return self._overrides.get(place)

    def differs(self, place: Place, mode: Mode | None) -> bool:
        """Whether something would have to be done for checks that want this; not while an override holds."""
        now = self._now.get(place)
        if place in self._overrides:
            return False
        if now is None or mode is None:
            return (now is None) != (mode is None)
        return MODES[mode] > MODES[now.mode]

    def apply(self, decision: Decision, *, exempt_roles: Sequence[str]) -> int | None:
        """Do it; returns the revision that enforces it, None where nothing does."""
        place = decision.tenant, decision.asset
        before = self._now.pop(place, None)
        ledger, cause, tenant = self._ledger, decision.cause, decision.tenant
        ledger.tx.execute(delete(QUARANTINE).where(_is(QUARANTINE, place)))
        if decision.mode is not None:
            self._quarantined(decision, decision.mode)
        else:
            released = AssetReleased(
                asset=decision.asset,
                decision_id=decision.id,
                reason=decision.reason[:REASON_MAX],
                actor_id=cause.actor_id,
                quarantine_id=before.decision_id if before else None,
            )
            ledger.emit(tenant, released, cause, "policy.asset_released", decision.id)
        revision = self._enforce(decision, exempt_roles)
        ledger.tx.execute(
            insert(DECISION).values(
                id=decision.id,
                tenant=tenant,
                asset=decision.asset,
                action="release" if decision.mode is None else "quarantine",
                rule=decision.rule,
                mode=decision.mode,
                reason=decision.reason[:REASON_MAX],
                actor_id=cause.actor_id,
                check_id=decision.check_id,
                cause_source=decision.source,
                cause_id=cause.causationid,
                revision=revision,
                ends=before.decision_id if before else None,
                until_us=to_us(decision.until) if decision.until else None,
                time_us=to_us(cause.time),
            )
        )
        return revision

    def put_override(self, place: Place, override: Override) -> None:
        """Let a person's word count from now on, in place of another one."""
        self.drop_override(place)
        row = msgspec.structs.asdict(override)
        self._ledger.tx.execute(insert(OVERRIDE).values(tenant=place[0], asset=place[1], **row))
        self._overrides[place] = override

    def drop_override(self, place: Place) -> Override | None:
        """Let the checks count again; returns what was in force."""
        self._ledger.tx.execute(delete(OVERRIDE).where(_is(OVERRIDE, place)))
        return self._overrides.pop(place, None)

    def _quarantined(self, decision: Decision, mode: Mode) -> None:
        place, cause = (decision.tenant, decision.asset), decision.cause
        now = Quarantine(
            decision_id=decision.id,
            mode=mode,
            reason=decision.reason[:REASON_MAX],
            since_us=to_us(cause.time),
        )
        row = msgspec.structs.asdict(now)
        self._ledger.tx.execute(insert(QUARANTINE).values(tenant=place[0], asset=place[1], **row))
        self._now[place] = now
        event = AssetQuarantined(
            asset=decision.asset,
            decision_id=decision.id,
            reason=now.reason,
            actor_id=cause.actor_id,
            mode=mode,
            until=decision.until,
        )
        self._ledger.emit(decision.tenant, event, cause, "policy.asset_quarantined", decision.id)

    def _enforce(self, decision: Decision, exempt_roles: Sequence[str]) -> int | None:
        ledger, tenant, cause = self._ledger, decision.tenant, decision.cause
        table = table_covering(decision.asset)
        if table is None:
            return None
        policy_id = policy_id_of(decision.asset)
        if decision.mode is None:
            return ledger.change(tenant, cause, drop=[policy_id]).revision
        policy = Policy(
            policy_id=policy_id,
            version=ledger.next_version(tenant, policy_id),
            kind="quarantine",
            mode=decision.mode,
            scope=table,
            body=quarantine_body(exempt_roles),
            title=f"{decision.asset} is quarantined: {decision.reason}"[:REASON_MAX],
        )
        ledger.add(tenant, policy, cause)
        return ledger.change(tenant, cause, put=[policy]).revision


def quarantine_body(exempt_roles: Sequence[str]) -> str:
    """Cedar for: nobody but these roles. It names no resource, because its scope is the table.

    Nothing in it reads an attribute, so its evaluation cannot fail and be skipped.
    """
    roles = ", ".join(f'Role::"{role}"' for role in exempt_roles)
    return "forbid (principal, action, resource)" + (
        f" unless {{ principal in [{roles}] }};" if roles else ";"
    )


def policy_id_of(asset: str) -> str:
    """The id of the policy that quarantines an asset."""
    named = POLICY_PREFIX + asset.removeprefix("urn:")
    if len(named) <= POLICY_ID_MAX:
        return named
    return POLICY_PREFIX + sha256(asset.encode()).hexdigest()


def wanted_by_checks(tx: Connection, place: Place) -> tuple[Mode | None, str]:
    """What the checks of an asset want, and which one wants it most."""
    rows = tx.execute(
        select(CHECK.c.check_id, CHECK.c.failing, CHECK.c.rule).where(
            _is(CHECK, place), CHECK.c.failing.is_not(None)
        )
    )
    return strongest({row.check_id: row.failing for row in rows})


def strongest(failing: Mapping[str, Mode]) -> tuple[Mode | None, str]:
    """The strongest mode among failing checks, and the first check by name that has it."""
    if not failing:
        return None, ""
    check_id = min(failing, key=lambda check: (-MODES[failing[check]], check))
    return failing[check_id], check_id


def until_of(override: Override) -> datetime:
    """When it ends."""
    return from_us(override.until_us)


def _at(table: Table, places: Sequence[Place]) -> ColumnElement[bool]:
    return tuple_(table.c.tenant, table.c.asset).in_(places)


def _is(table: Table, place: Place) -> ColumnElement[bool]:
    return (table.c.tenant == place[0]) & (table.c.asset == place[1])
