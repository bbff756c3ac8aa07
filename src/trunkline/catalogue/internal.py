"""Topics that the backbone keeps for itself, beside the contract's ten: nobody's events, no tenant's data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalTopic:
    """One partition, so that its records have one order. `config` is by Kafka's names."""

    name: str
    config: Mapping[str, str]


GROWTH_JOURNAL: Final = InternalTopic(
    name="trunkline.growth.journal",
    # Kept for ever: a group that reads a topic from its beginning needs to know where it has grown.
    config={"retention.ms": "-1"},
)
"""What `trunkline topics grow` has done to which topic: a few records a growth."""

BROADCAST_POSITIONS: Final = InternalTopic(
    name="trunkline.broadcast.positions",
    config={"retention.ms": str(24 * HOUR_MS)},
)
"""How far each instance has applied what is broadcast; every instance repeats it every few seconds."""

TENANT_ENDS: Final = InternalTopic(
    name="trunkline.tenant.ends",
    # Kept for ever: a store that is built anew from the topics must not bring an ended tenant back.
    config={"retention.ms": "-1"},
)
"""One record a deleted tenant; written by tenant-service, read whole by every instance of every service."""

ERASURE_RECEIPTS: Final = InternalTopic(
    name="trunkline.erasure.receipts",
    config={"retention.ms": "-1"},
)
"""What each service has erased of an ended tenant; written by every service, read by iam-service."""

INTERNAL_TOPICS: Final = (GROWTH_JOURNAL, BROADCAST_POSITIONS, TENANT_ENDS, ERASURE_RECEIPTS)
