"""When the next load is overdue."""

import random

from trunkline.services.quality.rhythm import SLOT_US, rhythm
from trunkline.services.quality.windows import DAY_US, MINUTE_US

DAY = DAY_US // SLOT_US
HOUR = DAY // 24


def test_too_few_loads_have_no_rhythm() -> None:
    assert rhythm([day * DAY for day in range(14)], 3.5) is None
    assert rhythm([], 3.5) is None


def test_a_punctual_daily_load_may_be_an_hour_late_and_not_three() -> None:
    found = rhythm([day * DAY for day in range(20)], 3.5)
    assert found is not None
    assert found.period_us == DAY_US
    assert 60 * MINUTE_US <= found.tolerance_us < 180 * MINUTE_US


def test_many_statements_of_one_load_are_one_load() -> None:
    loads = [day * DAY + statement for day in range(20) for statement in range(12)]
    found = rhythm(loads, 3.5)
    assert found is not None
    assert abs(found.period_us - DAY_US) < DAY_US / 20


def test_a_load_that_varies_is_tolerated_more() -> None:
    rng = random.Random(1)
    loads = sorted(day * DAY + rng.randrange(6 * HOUR) for day in range(40))
    found = rhythm(loads, 3.5)
    assert found is not None
    assert found.tolerance_us > 4 * 60 * MINUTE_US


def test_a_weekend_without_loads_is_no_surprise_after_three() -> None:
    # 1970 began on a Thursday; day 4 is a Monday.
    working = [day * DAY for day in range(4, 40) if (day - 4) % 7 < 5]
    friday = [day for day in working if day <= 36 * DAY and (day // DAY - 4) % 7 == 4][-1]
    until_friday = [day for day in working if day <= friday]
    until_thursday = [day for day in working if day < friday]
    after_friday, after_thursday = rhythm(until_friday, 3.5), rhythm(until_thursday, 3.5)
    assert after_friday is not None
    assert after_thursday is not None
    assert after_friday.period_us == 3 * DAY_US
    assert after_thursday.period_us == DAY_US


def test_a_table_that_is_written_all_the_time_is_missed_soon() -> None:
    found = rhythm(list(range(200)), 3.5)
    assert found is not None
    assert found.period_us + found.tolerance_us <= 20 * MINUTE_US
