"""Known settings change the log, unknown and impossible ones are refused by name."""

import pytest

from trunkline.broker.log.errors import TopicRefused
from trunkline.broker.log.options import LogOptions
from trunkline.broker.log.topic_config import TOPIC_CONFIG_NAMES, described, log_options
from trunkline.broker.protocol.errors import ErrorCode

DEFAULTS = LogOptions()


def test_settings_change_the_options_of_the_log() -> None:
    options = log_options(
        {"retention.ms": "-1", "max.message.bytes": "500", "message.timestamp.type": "LogAppendTime"},
        defaults=DEFAULTS,
    )
    assert (options.retention_ms, options.max_message_bytes) == (-1, 500)
    assert options.timestamp_type == "LogAppendTime"
    assert options.segment_bytes == DEFAULTS.segment_bytes


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("retention.mss", "5", "unknown topic configuration retention.mss; known are"),
        ("retention.ms", "week", "retention.ms=week is not a whole number"),
        ("retention.ms", "-2", "retention.ms=-2 is not in -1.."),
        ("segment.bytes", "1000", "segment.bytes=1000 is not in 1048576.."),
        ("cleanup.policy", "compact", "cleanup.policy=compact is not delete"),
        ("compression.type", "rar", "compression.type=rar is not producer or"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(name: str, value: str, reason: str) -> None:
    with pytest.raises(TopicRefused) as raised:
        log_options({name: value}, defaults=DEFAULTS)
    assert raised.value.error is ErrorCode.INVALID_CONFIG
    assert raised.value.message.startswith(reason)


def test_every_setting_is_described_and_what_is_described_is_accepted() -> None:
    values = described({"compression.type": "snappy"}, defaults=DEFAULTS)
    assert values.keys() == TOPIC_CONFIG_NAMES
    assert (values["compression.type"], values["retention.ms"]) == ("snappy", "604800000")
    assert log_options(values, defaults=DEFAULTS) == DEFAULTS
