"""The event that says what a name is set to: the inverse of `entries.change_of`. Pure."""

from typing import Any, TypeAlias

import msgspec

from trunkline.catalogue.events.config import ConfigFlagChanged, ConfigValueSet, ConfigValueUnset
from trunkline.catalogue.names import SYSTEM_TENANT, TenantId
from trunkline.client.broadcast.entries import FlagRule, Name

ChangeEvent: TypeAlias = ConfigValueSet | ConfigValueUnset | ConfigFlagChanged


def event_of(name: Name, value: Any, *, version: int, actor: str, reason: str | None) -> ChangeEvent:
    """The event to publish; `value` is a JSON value, a `FlagRule` for a flag, or UNSET for either."""
    if name.kind == "flag":
        unset = value is msgspec.UNSET
        rule = FlagRule(enabled=False) if unset else value
        return ConfigFlagChanged(
            key=name.key,
            version=version,
            enabled=rule.enabled,
            actor_id=actor,
            rollout_percent=rule.rollout_percent,
            tiers=rule.tiers,
            starts_at=rule.starts_at,
            reason=reason,
            removed=unset,
        )
    if value is msgspec.UNSET:
        return ConfigValueUnset(
            key=name.key, level=name.level, version=version, actor_id=actor, scope=name.scope, reason=reason
        )
    return ConfigValueSet(
        key=name.key,
        level=name.level,
        value=value,
        version=version,
        actor_id=actor,
        scope=name.scope,
        reason=reason,
    )


def tenant_of(name: Name) -> TenantId:
    """Whose event it is: the tenant's on its own level, and otherwise the platform's."""
    return TenantId(name.scope) if name.level == "tenant" and name.scope is not None else SYSTEM_TENANT
