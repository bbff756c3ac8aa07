"""What can be set for one partition log."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

TimestampType: TypeAlias = Literal["CreateTime", "LogAppendTime"]

DAY_MS = 86_400_000

UNLIMITED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """Limits of a partition log, with Kafka's defaults; `UNLIMITED` (-1) turns a retention off."""

    retention_ms: int = 7 * DAY_MS
    retention_bytes: int = UNLIMITED
    segment_bytes: int = 2**30
    segment_ms: int = 7 * DAY_MS
    max_message_bytes: int = 1_048_588
    timestamp_type: TimestampType = "CreateTime"
    producer_expiry_ms: int = DAY_MS
    checkpoint_interval_bytes: int = 16 * 2**20
    """How much is appended between two checkpoints, and so how much a restart after a crash has to scan."""
