"""The names that everything else is keyed by, as distinct types."""

import re
from typing import Final, NewType

TopicName = NewType("TopicName", str)
ServiceName = NewType("ServiceName", str)
TenantId = NewType("TenantId", str)
EventType = NewType("EventType", str)

TOPIC_PATTERN: Final = re.compile(r"[a-z][a-z0-9]*(?:\.[a-z][a-z0-9]*){2}")
"""`{domain}.{entity}.{action}`."""

SERVICE_PATTERN: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")

TOPIC_CHARACTERS_MAX: Final = 249
"""What Kafka takes: its file names add a partition and an ending."""

SERVICE_CHARACTERS_MAX: Final = 63
"""Of a DNS label (RFC 1035): a service's pods, and what leads to them, are named after it."""

RESERVED_SERVICES: Final = frozenset({"trunkline-exporter", "trunkline-operator"})
"""Principals with rights of their own: of the pod that tells lags, and of people."""

TENANT_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Letters, digits, `.`, `_`, `-`; at most 64 of them: safe in a file name, a URL and a header."""

EVENT_TYPE_PATTERN: Final = re.compile(r"[a-z][a-z0-9]*(?:\.[a-z][a-z0-9_]*)+\.v[1-9][0-9]*")
"""`query.completed.v1`: the version is part of the name, because a breaking change is a new type."""

SYSTEM_TENANT: Final = TenantId("system")
"""Owns what belongs to no tenant: global configuration, evidence that could not be attributed."""
