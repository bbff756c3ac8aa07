"""What look-ups see while a topic is read, emptied or damaged."""

from collections.abc import Callable
from typing import Any

from trunkline.catalogue.events.config import ConfigValueSet
from trunkline.client.broadcast.course import NEVER, Sighting
from trunkline.client.broadcast.replica import Replica
from trunkline.client.broadcast.state import State
from trunkline.codec import Envelope, Record

Recorded = Callable[..., Record]


def limit(value: int, version: int) -> ConfigValueSet:
    return ConfigValueSet(key="limit", level="global", value=value, version=version, actor_id="u")


def sighting(at: float, end: int, *, topic_id: str = "one") -> Sighting:
    return Sighting(topic_id=topic_id, bounds={0: (0, end)}, at=at)


def value(replica: Replica) -> Any:
    found = replica.view.value("limit")
    return None if found is None else found.value


def test_nothing_shows_before_everything_was_read(recorded: Recorded) -> None:
    replica = Replica(stale_seconds=60)
    replica.seen(sighting(1.0, 2))
    replica.read([recorded(limit(1, 1), offset=0)], {})
    assert value(replica) is None
    assert replica.fresh_until == NEVER
    replica.read([recorded(limit(2, 2), offset=1)], {})
    assert value(replica) == 2
    assert replica.fresh_until == 61.0
    replica.seen(sighting(5.0, 3))
    replica.read([recorded(limit(3, 3), offset=2)], {})
    assert value(replica) == 3
    assert replica.fresh_until == 65.0


def test_a_record_that_cannot_be_applied_leaves_the_old_value(recorded: Recorded) -> None:
    replica = Replica(stale_seconds=60)
    replica.seen(sighting(1.0, 3))
    no_event = Record("config.change.events", 0, 1, 1, b"acme", b"{", ())
    other_tenant = recorded(limit(9, 9), "acme", offset=2)
    rejections = replica.read([recorded(limit(1, 1)), no_event, other_tenant], {})
    assert [rejection.reason for rejection in rejections] == ["not_cloudevents", "wrong_tenant"]
    assert str(rejections[0]).startswith("config.change.events/0@1 not_cloudevents: ")
    assert (replica.rejected, replica.last_rejected) == (2, rejections[1])
    assert value(replica) == 1


def kept(enveloped: Callable[..., Envelope[Any]]) -> Replica:
    replica = Replica(stale_seconds=60)
    state = State()
    state.apply(enveloped(limit(7, 7)))
    replica.remember(state.entries.items())
    return replica


def test_what_was_kept_shows_until_the_topic_was_read(
    recorded: Recorded, enveloped: Callable[..., Envelope[Any]]
) -> None:
    replica = kept(enveloped)
    assert value(replica) == 7
    replica.seen(sighting(1.0, 1))
    assert (value(replica), replica.fresh_until) == (7, NEVER)
    replica.read([recorded(limit(1, 1))], {})
    assert value(replica) == 1


def test_an_empty_topic_does_not_wipe_out_what_was_known(
    recorded: Recorded, enveloped: Callable[..., Envelope[Any]]
) -> None:
    replica = kept(enveloped)
    replica.seen(sighting(1.0, 0))
    assert replica.emptied
    assert (value(replica), replica.fresh_until) == (7, NEVER)
    replica.seen(sighting(2.0, 1))
    replica.read([recorded(limit(2, 1))], {})
    assert replica.adopted
    assert (value(replica), replica.fresh_until) == (2, 62.0)


def test_a_topic_created_again_replaces_what_the_old_one_said_when_it_was_read(recorded: Recorded) -> None:
    replica = Replica(stale_seconds=60)
    replica.seen(sighting(1.0, 1))
    replica.read([recorded(limit(5, 9))], {})
    assignment = replica.seen(sighting(2.0, 1, topic_id="two"))
    assert assignment is not None
    assert assignment.fresh
    assert value(replica) == 5
    replica.read([recorded(limit(6, 1))], {})
    assert value(replica) == 6


def test_nothing_configured_is_an_answer_too() -> None:
    replica = Replica(stale_seconds=60)
    replica.seen(sighting(1.0, 0))
    assert replica.adopted
    assert not replica.emptied
    assert replica.fresh_until == 61.0
