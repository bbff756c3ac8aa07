"""The uniform view of an event that the audit ledger searches by."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgspec

ActorType: TypeAlias = Literal["user", "service", "system", "api_key", "anonymous"]
Outcome: TypeAlias = Literal["success", "failure", "denied"]

UNKNOWN_ACTOR: Final = "unknown"
"""Stands where an event names nobody."""


@dataclass(frozen=True, slots=True)
class AuditFields:
    """Who (`actor_*`), did what (`action`), to which thing (`resource_*`), and how it ended."""

    actor_type: ActorType
    actor_id: str
    action: str
    resource_type: str
    resource_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class AuditRule:
    """Which fields of an event class answer the ledger's questions.

    `resource` is the kind of thing acted on and `resource_id` the field that names it. The actor is the field
    `actor_id`, of the constant `actor_type`; without one it is the publishing platform itself. A `*_field`,
    where given, names a field that overrides the constant beside it.
    """

    resource: str
    resource_id: str
    actor_id: str | None = None
    actor_type: ActorType = "user"
    outcome: Outcome = "success"
    actor_type_field: str | None = None
    action_field: str | None = None
    resource_field: str | None = None
    outcome_field: str | None = None

    def check(self, cls: type[msgspec.Struct], type_name: str) -> None:
        """Raises ValueError if the rule names a field that the class does not have."""
        named = (self.resource_id, self.actor_id, self.actor_type_field, self.action_field)
        for field in (*named, self.resource_field, self.outcome_field):
            if field is not None and field not in cls.__struct_fields__:
                raise ValueError(f"the audit rule of {type_name} names {field!r}, which {cls.__name__} lacks")


def audit_fields(data: msgspec.Struct, type_name: str, rule: AuditRule) -> AuditFields:
    """Applies the rule to an event's data. The action defaults to the type without its version."""

    def field(name: str | None, default: str) -> str:
        value = getattr(data, name) if name is not None else None
        return default if value is None else str(value)

    actor_type: ActorType = rule.actor_type if rule.actor_id is not None else "system"
    if rule.actor_type_field is not None:
        actor_type = getattr(data, rule.actor_type_field)
    outcome: Outcome = rule.outcome
    if rule.outcome_field is not None:
        outcome = getattr(data, rule.outcome_field)
    return AuditFields(
        actor_type=actor_type,
        actor_id=field(rule.actor_id, UNKNOWN_ACTOR if rule.actor_id is not None else "platform"),
        action=field(rule.action_field, type_name.rpartition(".")[0]),
        resource_type=field(rule.resource_field, rule.resource),
        resource_id=field(rule.resource_id, ""),
        outcome=outcome,
    )
