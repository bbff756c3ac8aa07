"""The retry schedule of Standard Webhooks, and what a receiver may ask for."""

from datetime import UTC, datetime

import pytest

from trunkline.services.notification.schedule import STANDARD_S, Schedule, retry_after_of

NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)


def test_it_takes_75_hours_and_35_minutes() -> None:
    assert sum(STANDARD_S) == (75 * 60 + 35) * 60 + 5
    waits = [Schedule().next_s(failures, retry_after_s=None, chance=0) for failures in range(11)]
    assert waits == [*STANDARD_S, None]


def test_retry_after_makes_a_wait_longer_and_never_shorter() -> None:
    assert Schedule().next_s(1, retry_after_s=60, chance=0) == 60
    assert Schedule().next_s(2, retry_after_s=1, chance=0) == 300
    assert Schedule().next_s(2, retry_after_s=10**9, chance=0) == 86_400
    assert Schedule().next_s(10, retry_after_s=60, chance=0) is None


def test_chance_spreads_what_failed_together() -> None:
    assert Schedule().next_s(2, retry_after_s=None, chance=1) == pytest.approx(330)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Mon, 23 Nov 2026 07:01:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 06:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("9" * 400, 999_999_999.0),
    ],
)
def test_the_header_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    assert retry_after_of(header, now=NOW) == seconds
