"""Who is behind, gone, stale or diverged, from what the instances said."""

from datetime import UTC, datetime, timedelta
from typing import Any

from trunkline.client.broadcast.acknowledgement import (
    Acknowledgement,
    decode_acknowledgement,
    encode_acknowledgement,
)
from trunkline.client.broadcast.overview import Standing, overview
from trunkline.codec import Record

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BOUNDS = {0: (0, 10), 1: (5, 5)}


def said(instance: str, *, ago: float = 1.0, **changes: Any) -> Acknowledgement:
    usual: dict[str, Any] = {
        "service": "query-engine",
        "topic": "config.change.events",
        "topic_id": "one",
        "positions": {0: 10, 1: 5},
        "digest": "a" * 64,
        "entries": 3,
        "rejected": 0,
        "last_rejected": None,
        "stale": False,
        "stopped": False,
    }
    return Acknowledgement(instance=instance, at=NOW - timedelta(seconds=ago), **{**usual, **changes})


def standings(*acknowledgements: Acknowledgement) -> dict[str, Standing]:
    views = overview(acknowledgements, topic_id="one", bounds=BOUNDS, now=NOW)
    return {view.instance: view.standing for view in views}


def test_the_last_word_of_each_instance_counts() -> None:
    behind, current = said("1", ago=9, positions={0: 7, 1: 5}), said("1", ago=2)
    assert standings(current, behind) == {"1": Standing.CURRENT}
    assert standings(behind) == {"1": Standing.BEHIND}


def test_behind_counts_records_that_are_still_there() -> None:
    (view,) = overview([said("1", positions={0: 7, 1: 2})], topic_id="one", bounds=BOUNDS, now=NOW)
    assert view.behind == 3
    (fresh,) = overview([said("1", positions={})], topic_id="one", bounds=BOUNDS, now=NOW)
    assert fresh.behind == 10


def test_who_has_read_more_of_one_partition_than_is_left_is_no_less_behind_in_another() -> None:
    (view,) = overview([said("1", positions={0: 7, 1: 8})], topic_id="one", bounds=BOUNDS, now=NOW)
    assert (view.standing, view.behind) == (Standing.BEHIND, 3)


def test_positions_in_a_topic_that_was_created_again_are_void() -> None:
    (view,) = overview([said("1", topic_id="old")], topic_id="one", bounds=BOUNDS, now=NOW)
    assert (view.standing, view.behind) == (Standing.BEHIND, 10)


def test_silence_is_gone_and_after_an_hour_forgotten_and_a_stop_is_neither() -> None:
    assert standings(said("silent", ago=16), said("long-ago", ago=3_700), said("done", stopped=True)) == {
        "silent": Standing.GONE
    }


def test_another_digest_at_the_same_positions_is_diverged() -> None:
    others = [said(str(number)) for number in range(3)]
    assert standings(*others, said("odd", digest="b" * 64))["odd"] is Standing.DIVERGED
    assert standings(*others, said("odd", digest="b" * 64))["0"] is Standing.CURRENT


def test_without_a_majority_everybody_is_suspect() -> None:
    assert set(standings(said("1"), said("2", digest="b" * 64)).values()) == {Standing.DIVERGED}


def test_another_digest_at_other_positions_says_nothing() -> None:
    assert standings(said("1"), said("2", digest="b" * 64, positions={0: 9, 1: 5})) == {
        "1": Standing.CURRENT,
        "2": Standing.BEHIND,
    }


def test_the_dead_do_not_vote() -> None:
    dead = [said(f"dead-{number}", ago=60, digest="b" * 64) for number in range(3)]
    assert standings(*dead, said("1"))["1"] is Standing.CURRENT


def test_stale_shows_even_where_nothing_is_missing() -> None:
    assert standings(said("1", stale=True)) == {"1": Standing.STALE}


def test_an_acknowledgement_survives_the_topic_and_strangers_do_not() -> None:
    def record(value: bytes | None) -> Record:
        return Record("t", 0, 0, 1, None, value, ())

    one = said("1")
    assert decode_acknowledgement(record(encode_acknowledgement(one).value)) == one
    for strange in (None, b"\xff", b"{}", b"[]"):
        assert decode_acknowledgement(record(strange)) is None
    newer = said("1", format=2)
    assert decode_acknowledgement(record(encode_acknowledgement(newer).value)) is None
