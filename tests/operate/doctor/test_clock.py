"""Clocks, as far as records tell."""

import pytest

from trunkline.operate.doctor.clock import FRESH_MS, REFUSED_MS, judge
from trunkline.operate.doctor.findings import Verdict

NOW = 1_700_000_000_000
TOPIC = "query.execution.events"


@pytest.mark.parametrize(
    ("latest", "verdict", "said"),
    [
        (NOW + REFUSED_MS + 1, Verdict.FAILED, "this machine's is behind"),
        (NOW + 30_000, Verdict.WARNING, "30.0 s in the future"),
        (NOW + 1_000, Verdict.OK, "agrees within 1.0 s"),
        (NOW - FRESH_MS, Verdict.OK, "agrees within"),
        (NOW - 3_600_000, Verdict.NOT_CHECKED, "a clock that is ahead would not show"),
        (NOW - 100 * 3_600_000, Verdict.NOT_CHECKED, "100.0 h old"),
    ],
)
def test_the_newest_record_tells(latest: int, verdict: Verdict, said: str) -> None:
    found = judge({TOPIC: latest, "older": latest - 1}, now_ms=NOW)
    assert found.verdict is verdict
    assert TOPIC in found.text
    assert said in found.text


def test_without_records_nothing_is_claimed() -> None:
    assert judge({}, now_ms=NOW).verdict is Verdict.NOT_CHECKED
