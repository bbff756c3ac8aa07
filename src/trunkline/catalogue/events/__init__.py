"""Every event of the platform, one module a domain. Importing this package declares them all."""

from trunkline.catalogue.events import (
    access,
    agent,
    config,
    model,
    pipeline,
    policy,
    quality,
    query,
    tenant,
    usage,
)
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
    "agent",
    "config",
    "declaration_of",
    "event",
    "event_type_of",
    "model",
    "pipeline",
    "policy",
    "quality",
    "query",
    "tenant",
    "usage",
]
