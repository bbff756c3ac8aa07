"""Settings are shown with their source, changed one by one or as a whole, or refused."""

import pytest

from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.configs import (
    AlterableConfig,
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResponse,
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    IncrementalAlterableConfig,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResource,
    IncrementalAlterConfigsResponse,
)
from trunkline.testing.api_desk import ApiDesk

TOPIC, BROKER, GROUP = 2, 4, 32
SET, DELETE, APPEND = 0, 1, 2
ON_TOPIC, DEFAULT = 1, 5


def describe(
    desk: ApiDesk, name: str, *, kind: int = TOPIC, keys: list[str] | None = None, version: int = 4
) -> DescribeConfigsResult:
    resource = DescribeConfigsResource(resource_type=kind, resource_name=name, configuration_keys=keys)
    request = DescribeConfigsRequest(resources=[resource], include_synonyms=True)
    return desk.ask(request, version, DescribeConfigsResponse).results[0]


def values(desk: ApiDesk, topic: str) -> dict[str, tuple[str | None, int]]:
    return {config.name: (config.value, config.config_source) for config in describe(desk, topic).configs}


def change(
    desk: ApiDesk, topic: str, *changes: tuple[str, int, str | None], validate_only: bool = False
) -> int:
    resource = IncrementalAlterConfigsResource(
        resource_type=TOPIC,
        resource_name=topic,
        configs=[
            IncrementalAlterableConfig(name=name, config_operation=operation, value=value)
            for name, operation, value in changes
        ],
    )
    request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=validate_only)
    return desk.ask(request, 1, IncrementalAlterConfigsResponse).responses[0].error_code


def replace(desk: ApiDesk, name: str, *, kind: int = TOPIC, version: int = 2, **configs: str) -> int:
    resource = AlterConfigsResource(
        resource_type=kind,
        resource_name=name,
        configs=[AlterableConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()],
    )
    request = AlterConfigsRequest(resources=[resource], validate_only=False)
    return desk.ask(request, version, AlterConfigsResponse).responses[0].error_code


@pytest.mark.parametrize("version", range(1, 5))
def test_every_version_shows_what_is_set_and_where(desk: ApiDesk, version: int) -> None:
    topic = desk.topic(retention_ms="60000")
    shown = {config.name: config for config in describe(desk, topic, version=version).configs}
    assert (shown["retention.ms"].value, shown["retention.ms"].config_source) == ("60000", ON_TOPIC)
    assert [synonym.value for synonym in shown["retention.ms"].synonyms] == ["60000", "604800000"]
    assert (shown["segment.bytes"].value, shown["segment.bytes"].config_source) == ("1073741824", DEFAULT)


def test_single_settings_can_be_asked_for(desk: ApiDesk) -> None:
    result = describe(desk, desk.topic(), keys=["retention.ms", "no.such.thing"])
    assert [config.name for config in result.configs] == ["retention.ms"]


def test_the_brokers_settings_are_shown_and_read_only(desk: ApiDesk) -> None:
    shown = {config.name: config for config in describe(desk, "1", kind=BROKER).configs}
    assert shown["num.partitions"].value == "3"
    assert all(config.read_only for config in shown.values())
    assert replace(desk, "1", kind=BROKER, num_partitions="5") == ErrorCode.INVALID_REQUEST


def test_what_does_not_exist_is_refused(desk: ApiDesk) -> None:
    assert describe(desk, "nobody.knows.it").error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert describe(desk, "2", kind=BROKER).error_code == ErrorCode.INVALID_REQUEST
    assert describe(desk, "g", kind=GROUP).error_code == ErrorCode.INVALID_REQUEST
    assert change(desk, "nobody.knows.it", ("retention.ms", SET, "1")) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_settings_change_one_by_one(desk: ApiDesk) -> None:
    topic = desk.topic(retention_ms="60000")
    assert change(desk, topic, ("retention.ms", DELETE, None), ("max.message.bytes", SET, "100")) == 0
    assert values(desk, topic)["retention.ms"] == ("604800000", DEFAULT)
    assert desk.produce(topic, bytes(200)).error_code == ErrorCode.MESSAGE_TOO_LARGE


def test_settings_are_replaced_as_a_whole(desk: ApiDesk) -> None:
    topic = desk.topic(retention_ms="60000")
    assert replace(desk, topic, segment_bytes="2097152") == ErrorCode.NONE
    assert values(desk, topic)["retention.ms"] == ("604800000", DEFAULT)
    assert values(desk, topic)["segment.bytes"] == ("2097152", ON_TOPIC)


def test_a_wrong_setting_changes_nothing(desk: ApiDesk) -> None:
    topic = desk.topic()
    before = values(desk, topic)
    assert change(desk, topic, ("retention.ms", SET, "1"), ("no.such", SET, "1")) == ErrorCode.INVALID_CONFIG
    assert change(desk, topic, ("cleanup.policy", APPEND, "compact")) == ErrorCode.INVALID_CONFIG
    assert replace(desk, topic, retention_ms="soon") == ErrorCode.INVALID_CONFIG
    assert change(desk, topic, ("retention.ms", SET, "1"), validate_only=True) == ErrorCode.NONE
    assert values(desk, topic) == before
