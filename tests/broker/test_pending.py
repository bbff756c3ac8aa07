"""A promise is kept at most once, to a reader that still wants it."""

from trunkline.broker.pending import Gathering, Pending


def test_the_reader_gets_the_value_whichever_comes_first() -> None:
    early: Pending[int] = Pending()
    late: Pending[int] = Pending()
    got: list[int] = []
    early.then(got.append)
    early.resolve(1)
    late.resolve(2)
    late.then(got.append)
    assert got == [1, 2]


def test_only_the_first_value_counts() -> None:
    pending: Pending[int] = Pending()
    got: list[int] = []
    pending.then(got.append)
    pending.resolve(1)
    pending.resolve(2)
    assert got == [1]


def test_an_abandoned_promise_cleans_up_once_and_tells_nobody() -> None:
    cleaned: list[str] = []
    pending: Pending[int] = Pending(lambda: cleaned.append("cleaned"))
    pending.then(lambda _value: cleaned.append("told"))
    pending.abandon()
    pending.abandon()
    pending.resolve(1)
    assert cleaned == ["cleaned"]


def test_a_kept_promise_cannot_be_abandoned() -> None:
    cleaned: list[str] = []
    pending: Pending[int] = Pending(lambda: cleaned.append("cleaned"))
    pending.resolve(1)
    pending.abandon()
    assert cleaned == []


def test_a_gathering_is_complete_with_its_last_part_even_when_parts_come_at_once() -> None:
    gathering: Gathering[list[str]] = Gathering([])
    got: list[list[str]] = []
    gathering.promise.then(got.append)
    gathering.expect()
    gathering.arrived()
    gathering.expect()
    gathering.arrived()
    assert got == []
    gathering.value.append("all")
    gathering.arrived()
    assert got == [["all"]]
