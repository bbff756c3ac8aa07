"""What an event is, and how a class becomes one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from trunkline.catalogue.events.audit_view import AuditFields, AuditRule, audit_fields
from trunkline.catalogue.names import EVENT_TYPE_PATTERN, TOPIC_PATTERN, EventType, TopicName


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The data of an event; the tenant, the time and the identity are its envelope's.

    A subclass is declared with `@event`. Readers ignore members they do not know, so a field with a default
    may be added within a version; anything else is a new type. msgspec checks constraints when it decodes and
    not when it constructs: `trunkline.codec.validate` checks an instance.
    """

    def summary(self) -> AuditFields:
        """Who did what to which thing with what outcome, the same five answers for every type of event."""
        declaration = declaration_of(type(self))
        return audit_fields(self, declaration.type, declaration.audit)


EventClass: TypeAlias = type[Event]


@dataclass(frozen=True, slots=True)
class EventDeclaration:
    """One event type: where it goes, its class, a valid example, how the audit ledger reads it.

    `domain` is the first word of the topic, `example` the JSON object of a valid event.
    """

    type: EventType
    topic: TopicName
    cls: EventClass
    example: Mapping[str, Any]
    audit: AuditRule

    @property
    def domain(self) -> str:
        return self.topic.partition(".")[0]


E = TypeVar("E", bound=Event)

_declared: dict[EventType, EventDeclaration] = {}
_by_class: dict[type[Event], EventDeclaration] = {}

EVENT_TYPES: Final[Mapping[EventType, EventDeclaration]] = MappingProxyType(_declared)
"""Every declared event type; complete once `trunkline.catalogue.events` has been imported."""


def event(
    type_name: str, /, *, topic: str, example: Mapping[str, Any], audit: AuditRule
) -> Callable[[type[E]], type[E]]:
    """Declares the decorated class as the data of this event type.

    Raises ValueError at import for a name off the pattern, a type declared twice, or an example that the
    class refuses: a wrong declaration never gets as far as a publisher.
    """
    if not EVENT_TYPE_PATTERN.fullmatch(type_name):
        raise ValueError(f"event type {type_name!r} is not {{entity}}.{{what_happened}}.v{{N}}")
    if not TOPIC_PATTERN.fullmatch(topic):
        raise ValueError(f"topic {topic!r} of {type_name} is not {{domain}}.{{entity}}.{{action}}")
    name = EventType(type_name)

    def declare(cls: type[E]) -> type[E]:
        if name in _declared or cls in _by_class:
            raise ValueError(f"{type_name} or {cls.__name__} is declared twice")
        audit.check(cls, type_name)
        try:
            msgspec.convert(example, cls)
        except msgspec.ValidationError as error:
            raise ValueError(f"the example of {type_name} is not valid: {error}") from error
        frozen_example = MappingProxyType(dict(example))
        declaration = EventDeclaration(name, TopicName(topic), cls, frozen_example, audit)
        _declared[name] = declaration
        _by_class[cls] = declaration
        return cls

    return declare


def declaration_of(subject: Event | type[Event]) -> EventDeclaration:
    """The declaration of an event or of its class. Raises TypeError for a class without `@event`."""
    cls = subject if isinstance(subject, type) else type(subject)
    try:
        return _by_class[cls]
    except KeyError:
        raise TypeError(f"{cls.__qualname__} is not declared with @event") from None


def event_type_of(subject: Event | type[Event]) -> EventType:
    """The declared type of an event or of its class. Raises TypeError for a class without `@event`."""
    return declaration_of(subject).type
