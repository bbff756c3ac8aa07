"""Topic configuration by Kafka's names, and what of it a partition log needs.

A setting this broker does not know is refused, never ignored: who sets it relies on it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from trunkline.broker.log.errors import TopicRefused
from trunkline.broker.log.options import UNLIMITED, LogOptions
from trunkline.broker.log.segment import SEGMENT_BYTES_MAX
from trunkline.broker.protocol.errors import ErrorCode

SEGMENT_BYTES_MIN = 2**20
"""Kafka 4's own minimum; smaller ones exhaust file handles and directories."""

_LONG_MAX = 2**63 - 1


def _integer(minimum: int, maximum: int) -> Callable[[str], object]:
    def read(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise ValueError("is not a whole number") from None
        if not minimum <= number <= maximum:
            raise ValueError(f"is not in {minimum}..{maximum}")
        return number

    return read


def _one_of(*choices: str) -> Callable[[str], object]:
    def read(value: str) -> str:
        if value not in choices:
            raise ValueError(f"is not {' or '.join(choices)}")
        return value

    return read


_READERS: Final[dict[str, tuple[str | None, Callable[[str], object]]]] = {
    "retention.ms": ("retention_ms", _integer(UNLIMITED, _LONG_MAX)),
    "retention.bytes": ("retention_bytes", _integer(UNLIMITED, _LONG_MAX)),
    "segment.bytes": ("segment_bytes", _integer(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)),
    "segment.ms": ("segment_ms", _integer(1, _LONG_MAX)),
    "max.message.bytes": ("max_message_bytes", _integer(0, SEGMENT_BYTES_MAX)),
    "message.timestamp.type": ("timestamp_type", _one_of("CreateTime", "LogAppendTime")),
    "cleanup.policy": (None, _one_of("delete")),
    # Batches are kept as the producer compressed them, and there is one replica: both settings are accepted
    # so that the same topic definition works here and on a cluster.
    "compression.type": (None, _one_of("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd")),
    "min.insync.replicas": (None, _integer(1, 2**31 - 1)),
}

TOPIC_CONFIG_NAMES: Final = frozenset(_READERS)
"""The settings a topic can have."""


def log_options(configs: Mapping[str, str], *, defaults: LogOptions) -> LogOptions:
    """The options of a topic's logs. Raises `TopicRefused` (INVALID_CONFIG) naming the wrong setting."""
    changes: dict[str, Any] = {}
    for name, value in configs.items():
        if name not in _READERS:
            raise TopicRefused(
                ErrorCode.INVALID_CONFIG,
                f"unknown topic configuration {name}; known are {', '.join(sorted(_READERS))}",
            )
        field, read = _READERS[name]
        try:
            parsed = read(value)
        except ValueError as problem:
            raise TopicRefused(ErrorCode.INVALID_CONFIG, f"{name}={value} {problem}") from None
        if field is not None:
            changes[field] = parsed
    return replace(defaults, **changes)


def described(configs: Mapping[str, str], *, defaults: LogOptions) -> dict[str, str]:
    """Every setting with the value in force, as DescribeConfigs shows it."""
    options = log_options(configs, defaults=defaults)
    values = {
        name: str(getattr(options, field)) for name, (field, _) in _READERS.items() if field is not None
    }
    fixed = {"cleanup.policy": "delete", "compression.type": "producer", "min.insync.replicas": "1"}
    return {**fixed, **values, **configs}
