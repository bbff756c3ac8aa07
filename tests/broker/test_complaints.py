"""One line says what would otherwise be thousands."""

import logging

import pytest

from trunkline.broker.complaints import INTERVAL_S, Complaints


def test_the_end_of_trouble_is_said_once_and_only_if_trouble_was(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(logging.getLogger("test"), lambda: 0.0)
    complaints.over("never was")
    complaints.say("full")
    complaints.say("full")
    complaints.over("room again")
    complaints.say("full")
    complaints.over("room again")
    assert [record.getMessage() for record in caplog.records] == ["full", "room again"]


def test_a_flood_is_one_line_and_a_count(caplog: pytest.LogCaptureFixture) -> None:
    now_s = 0.0
    complaints = Complaints(logging.getLogger("test"), lambda: now_s)
    for number in range(100):
        complaints.say("closed %s", number)
    now_s = INTERVAL_S
    complaints.say("closed %s", "the last")
    complaints.say("closed %s", "one more")
    assert [record.getMessage() for record in caplog.records] == [
        "closed 0",
        "closed the last (and 99 more before)",
    ]
