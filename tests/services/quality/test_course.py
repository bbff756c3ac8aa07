"""One tenant's facts, in order, late, in any batches."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.catalogue.events.quality import AnomalyDetected, AnomalyResolved, QualitySlaBreached
from trunkline.services.quality.course import LATE_MAX_US, Course, Known
from trunkline.services.quality.facts import Fact
from trunkline.services.quality.options import Options
from trunkline.services.quality.windows import DAY_US, LATENESS_US, MINUTE_US
from trunkline.services.settings.quality import Monitor, Promise

BEGIN = 20_000 * DAY_US
HOUR = 60 * MINUTE_US
ASSET = "urn:table:main.orders"


def load(day: float, rows: int = 1_000, *, columns: str = "a" * 64) -> Fact:
    return Fact(
        id=f"load-{day}",
        at_us=BEGIN + round(day * DAY_US),
        writes=(ASSET,),
        rows_written=rows,
        columns_hash=columns,
    )


def tick(day: float) -> Fact:
    """Something else happened, and so time has passed."""
    return Fact(id=f"tick-{day}", at_us=BEGIN + round(day * DAY_US), reads=("urn:table:main.other",))


def course(*facts: Fact, options: Options | None = None) -> Course:
    one = Course("acme", options or Options(), Known())
    for fact in facts:
        one.apply(fact)
    return one


def usual(days: int = 20) -> list[Fact]:
    rng = random.Random(1)
    return [load(day + 0.1, rng.randrange(960, 1_040)) for day in range(days)]


def told(one: Course) -> list[str]:
    return [
        f"{'+' if isinstance(emission.event, AnomalyDetected) else '-'}{emission.event.metric}"
        for emission in one.changes.emissions
        if isinstance(emission.event, AnomalyDetected | AnomalyResolved)
    ]


def test_what_is_usual_raises_nothing() -> None:
    assert told(course(*usual(40))) == []


def test_a_volume_is_judged_when_the_watermark_passes_its_window() -> None:
    one = course(*usual(), load(20.1, 300), tick(21))
    assert told(one) == []
    one.apply(tick(21 + LATENESS_US / DAY_US))
    assert told(one) == ["+rows_written"]
    one.apply(load(21.1))
    one.apply(tick(22.1))
    assert told(one) == ["+rows_written", "-rows_written"]


def test_one_anomaly_lasts_as_long_as_windows_are_unusual() -> None:
    one = course(*usual(), *(load(day + 0.1, 300) for day in (20, 21, 22)), load(23.1), tick(24.1))
    assert told(one) == ["+rows_written", "-rows_written"]
    [anomaly] = one.changes.anomalies.values()
    assert (anomaly.windows, anomaly.began_us) == (3, BEGIN + 20 * DAY_US)


def test_late_events_can_resolve_an_anomaly_and_never_raise_one() -> None:
    one = course(*usual(), load(20.1, 300), tick(21.1))
    one.apply(load(20.2, 700))
    assert told(one) == ["+rows_written", "-rows_written"]
    [anomaly] = one.changes.anomalies.values()
    assert anomaly.note == "late events"
    one.apply(load(19.2, 90_000))
    one.apply(load(5.2, 90_000))
    assert len(told(one)) == 2
    assert one.changes.late == 3


def test_new_columns_are_told_once_and_then_usual() -> None:
    one = course(*usual(), *(load(day + 0.1, columns="b" * 64) for day in range(20, 24)), tick(24.1))
    assert told(one) == ["+schema", "-schema"]


def test_a_load_that_does_not_come_is_missed_and_its_coming_ends_that() -> None:
    one = course(*usual(), tick(20.1), tick(20.5))
    assert told(one) == ["+freshness"]
    one.apply(load(20.6))
    assert told(one) == ["+freshness", "-freshness"]


def test_a_load_that_was_only_told_late_ends_it_without_having_lasted() -> None:
    one = course(*usual(), tick(20.5), load(20.1))
    ended = [emission.event for emission in one.changes.emissions][-2]
    assert isinstance(ended, AnomalyResolved)
    assert ended.lasted_ms == 0


def test_a_promise_is_broken_once_for_each_load_that_is_missing() -> None:
    options = Options(promises={"orders": Promise(asset=ASSET, max_age_minutes=60)})
    one = course(load(0), tick(0.2), tick(0.3), load(0.4), tick(0.6), options=options)
    breaches = [one.event for one in one.changes.emissions if isinstance(one.event, QualitySlaBreached)]
    assert [(breach.sla_id, breach.severity) for breach in breaches] == [("orders", "error")] * 2


def test_what_nobody_wants_to_know_is_not_told() -> None:
    silent = Options(monitors=(Monitor(asset="urn:table:main.*", metrics=("rows_written",), enabled=False),))
    deaf = Options(monitors=(Monitor(asset="*", threshold=50.0),))
    for options in (silent, deaf):
        one = course(*usual(), load(20.1, 300), tick(21.1), options=options)
        assert "+rows_written" not in told(one)


def test_what_is_too_old_does_not_count() -> None:
    one = course(tick(50))
    one.apply(Fact(id="old", at_us=BEGIN + 50 * DAY_US - LATE_MAX_US - 1, writes=(ASSET,)))
    assert one.changes.too_old == 1
    assert ASSET not in one.known.assets


def test_the_clock_raises_what_the_watermark_would_and_the_watermark_confirms_it() -> None:
    by_clock, by_event = course(*usual()), course(*usual())
    moment = BEGIN + round(20.4 * DAY_US)
    by_clock.look_at_dues(moment, confirmed=False)
    [raised] = by_clock.known.anomalies.values()
    assert not raised.confirmed
    for one in (by_clock, by_event):
        one.apply(load(20.9))
    assert [anomaly.confirmed for anomaly in by_clock.changes.anomalies.values()] == [True]
    assert [(one.id, one.at_us) for one in by_clock.changes.emissions] == [
        (one.id, one.at_us) for one in by_event.changes.emissions
    ]


def test_ids_follow_from_what_happened() -> None:
    first, second = (course(*usual(), load(20.1, 300), tick(21.1)) for _ in range(2))
    assert [one.id for one in first.changes.emissions] == [one.id for one in second.changes.emissions]
    assert len({one.id for one in first.changes.emissions}) == len(first.changes.emissions)


facts = st.lists(
    st.tuples(st.integers(0, 60 * 24), st.integers(0, 2_000), st.booleans()), min_size=1, max_size=120
)


@settings(max_examples=40)
@given(facts, st.randoms(use_true_random=False))
def test_sums_do_not_depend_on_order(given_ones: list[tuple[int, int, bool]], rng: random.Random) -> None:
    """Anomalies do, by design: what is late is judged differently. What is known of windows does not."""
    made = [
        Fact(
            id=str(number),
            at_us=BEGIN + hours * HOUR,
            writes=(ASSET,) if write else (),
            reads=() if write else (ASSET,),
            rows_written=rows,
            duration_us=rows,
        )
        for number, (hours, rows, write) in enumerate(given_ones)
    ]
    made = [fact for fact in made if fact.at_us > max(one.at_us for one in made) - LATE_MAX_US]
    other = made[:]
    rng.shuffle(other)

    def sums(one: Course) -> list[tuple[int, ...]]:
        return sorted(
            (window.start_us, window.reads, window.writes, window.rows_written, window.log_sum)
            for window in one.known.windows.values()
        )

    first, second = course(*made), course(*other)
    assert sums(first) == sums(second)
    assert first.known.loads == second.known.loads
