"""Every event of the platform, one module a domain. Importing this package declares them all."""

from trunkline.catalogue.events import access, query
from trunkline.catalogue.events.audit_view import AuditFields
from trunkline.catalogue.events.base import (
    EVENT_TYPES,
    Event,
    EventDeclaration,
    declaration_of,
    event,
    event_type_of,
)

__all__ = [
    "EVENT_TYPES",
    "AuditFields",
    "Event",
    "EventDeclaration",
    "access",
    "declaration_of",
    "event",
    "event_type_of",
    "query",
]
