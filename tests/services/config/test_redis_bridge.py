"""Changes repeated on a real Redis, which may be away: that never hurts."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from trunkline.catalogue.events.config import ConfigValueSet
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.broadcast.state import State
from trunkline.codec import new_envelope
from trunkline.errors import Unavailable
from trunkline.services.config.metrics import ConfigMetrics
from trunkline.services.config.redis_bridge import AT_ONCE_MAX, RedisBridge
from trunkline.services.kit.settings import FixedSettings
from trunkline.testing import redis as redis_server
from trunkline.testing.redis import RedisServer
from trunkline.testing.requirements import Requirement, is_required


@pytest.fixture(autouse=True)
def installed() -> None:
    """Skips where there is no server, unless the run requires one."""
    missing = redis_server.why_missing()
    if missing is not None and not is_required(Requirement.REDIS, os.environ):
        pytest.skip(missing)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture
def heard(server: RedisServer) -> Iterator[Callable[[int], list[Any]]]:
    """Waits for so many messages on the channel."""
    import redis

    with (
        redis.Redis.from_url(server.url) as client,
        client.pubsub(ignore_subscribe_messages=True) as listening,
    ):
        listening.subscribe("config:changes")
        # The answer to the subscription itself.
        listening.get_message(timeout=5)

        def wait(count: int) -> list[Any]:
            found: list[Any] = []
            while len(found) < count:
                message = listening.get_message(timeout=5)
                assert message is not None, f"{len(found)} of {count} messages came"
                found.append(json.loads(message["data"]))
            return found

        yield wait


def settings(value: Any) -> FixedSettings:
    state = State()
    event = ConfigValueSet(key="config.redis", level="global", value=value, version=1, actor_id="u")
    from datetime import UTC, datetime

    state.apply(new_envelope(event, tenant=SYSTEM_TENANT, source="/tests", time=datetime.now(UTC)))
    return FixedSettings(state.view())


class Bridging:
    """A bridge with what it says about itself."""

    def __init__(self, service: Any, value: Any, *, owner: str = "one") -> None:
        self.registry = CollectorRegistry()
        self.bridge = RedisBridge(
            service.store, settings(value), ConfigMetrics(self.registry), owner=owner, wall=service.clock
        )

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"trunkline_config_redis_{name}")


def change(service: Any, *values: Any) -> None:
    """Changes that have been on the topic and back."""
    before = len(service.published())
    for value in values:
        service.set("a.b", value, "tenant", "acme")
    service.hear(*service.published()[before:])


def test_a_change_that_is_on_the_topic_is_repeated_without_its_value(
    service: Any, server: RedisServer, heard: Callable[[int], list[Any]]
) -> None:
    one = Bridging(service, {"url": server.url})
    change(service, "before the bridge was there")
    one.bridge()
    service.set("a.b", "not on the topic yet", "tenant", "acme")
    one.bridge()
    change(service, 5)
    service.hear(*service.published())
    one.bridge()
    messages = heard(2)
    assert [message["version"] for message in messages] == [3, 2]
    assert messages[0] == {
        "key": "a.b",
        "kind": "value",
        "level": "tenant",
        "scope": "acme",
        "version": 3,
        "in_force": True,
        "event_id": service.published()[-1].id,
        "time": "2026-03-01T12:00:00Z",
    }
    assert (one.metric("published_total"), one.metric("connected")) == (2, 1)


def test_while_redis_is_away_nothing_waits_for_it_and_what_is_too_old_is_left_out(
    service: Any, server: RedisServer
) -> None:
    one = Bridging(service, {"url": server.url})
    one.bridge()
    server.kill()
    change(service, 1, 2, 3)
    for _ in range(3):
        with pytest.raises(Unavailable, match="changes are repeated when it is back"):
            one.bridge()
    assert (one.metric("failures_total"), one.metric("connected")) == (3, 0)
    service.clock.move(seconds=120)
    change(service, 4)
    server.start()
    one.bridge()
    assert one.metric("dropped_total") == 3
    assert one.metric("published_total") == 1
    one.bridge()
    assert one.metric("published_total") == 1


def test_many_changes_go_in_steps(
    service: Any, server: RedisServer, heard: Callable[[int], list[Any]]
) -> None:
    one = Bridging(service, {"url": server.url})
    one.bridge()
    change(service, *range(AT_ONCE_MAX + 5))
    assert one.bridge() == 0.0
    assert one.bridge() > 0
    assert [message["version"] for message in heard(AT_ONCE_MAX + 5)] == list(range(1, AT_ONCE_MAX + 6))


def test_one_instance_repeats_and_another_takes_over_when_it_is_gone(
    service: Any, server: RedisServer, heard: Callable[[int], list[Any]]
) -> None:
    one, two = (Bridging(service, {"url": server.url}, owner=owner) for owner in ("one", "two"))
    one.bridge()
    change(service, 1)
    two.bridge()
    assert two.metric("connected") == 0
    one.bridge()
    service.clock.move(seconds=11)
    change(service, 2)
    two.bridge()
    assert [message["version"] for message in heard(2)] == [1, 2]
    assert (one.metric("published_total"), two.metric("published_total")) == (1, 1)


def test_a_password_is_read_from_its_file(service: Any, tmp_path: Path) -> None:
    file = tmp_path / "redis-password"
    file.write_text("s3cret\n")
    with RedisServer(password="s3cret") as server:
        with pytest.raises(Unavailable):
            Bridging(service, {"url": server.url}).bridge()
        Bridging(service, {"url": server.url, "password": f"file:{file}"}).bridge()
        gone = Bridging(service, {"url": server.url, "password": "file:/no/such/file"})
        with pytest.raises(Unavailable, match="No such file"):
            gone.bridge()


def test_a_setting_that_cannot_be_followed_is_told_and_hurts_nobody(service: Any) -> None:
    one = Bridging(service, {"url": "http://not-redis"})
    assert one.bridge() > 0
    assert "config.redis: " in str(one.bridge.refusal)
    wrong = Bridging(service, {"url": "redis://127.0.0.1:no-port"})
    with pytest.raises(Unavailable, match="redis://127"):
        wrong.bridge()
