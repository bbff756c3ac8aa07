"""Traces of language model inference as events."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trunkline.catalogue.events.agent import AgentTokensUsed
from trunkline.codec import Envelope, encode_checked
from trunkline.errors import InvalidInput
from trunkline.services.billing.lateness import BACKFILL
from trunkline.sources import llm_trace
from trunkline.sources.bad import BadInput
from trunkline.sources.llm_trace import Origin, find_files, new_origin, read_events

HEADING = "TIMESTAMP,ContextTokens,GeneratedTokens"
TRACE = Path(__file__).parents[2] / ".." / "shared" / "data" / "llm-inference"


def read(*paths: Path) -> tuple[list[Envelope[AgentTokensUsed]], list[BadInput]]:
    items = list(read_events(paths, origin=Origin()))
    return (
        [item for item in items if isinstance(item, Envelope)],
        [item for item in items if isinstance(item, BadInput)],
    )


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join((HEADING, *rows)) + "\n")
    return path


def test_a_row_is_the_tokens_of_one_call(tmp_path: Path) -> None:
    (event,), bad = read(write(tmp_path / "a.csv", "2023-11-16 18:15:46.6805907,374,44"))
    assert bad == []
    assert (event.tenantid, event.type) == ("llm-trace", "agent.tokens_used.v1")
    assert event.time == datetime(2023, 11, 16, 18, 15, 46, 680590, tzinfo=UTC)
    assert (event.data.input_tokens, event.data.output_tokens) == (374, 44)
    encode_checked(event)


def test_it_says_that_it_is_history_in_the_word_that_billing_looks_for(tmp_path: Path) -> None:
    (event,), _ = read(write(tmp_path / "a.csv", "2023-11-16 18:15:46,1,1"))
    assert event.extensions == {BACKFILL: "llm-trace"}


def test_ids_follow_from_the_rows_and_not_from_their_order(tmp_path: Path) -> None:
    rows = [f"2023-11-16 18:15:46.{number:07},{number % 7},{number % 3}" for number in range(200)]
    rows += rows[:50]
    shuffled = random.Random(1).sample(rows, len(rows))
    one, _ = read(write(tmp_path / "a.csv", *rows))
    other, _ = read(write(tmp_path / "b.csv", *shuffled))
    assert len({event.id for event in one}) == 250
    assert {event.id: event.data for event in one} == {event.id: event.data for event in other}


def test_equal_rows_in_several_files_are_different_calls(tmp_path: Path) -> None:
    row = "2023-11-16 18:15:46.6805900,374,44"
    events, _ = read(write(tmp_path / "a.csv", row), write(tmp_path / "b.csv", row))
    assert len({event.id for event in events}) == 2


def test_files_that_are_given_one_by_one_have_the_ids_of_all_at_once(tmp_path: Path) -> None:
    rows = [f"2023-11-16 18:15:{number:02},{number},1" for number in range(60)]
    parts = [write(tmp_path / "a.csv", *rows[:20]), write(tmp_path / "b.csv", *rows[20:])]
    together, _ = read(*parts)
    alone = [event for part in parts for event in read(part)[0]]
    assert [event.id for event in together] == [event.id for event in alone]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-12 00:00:00+00:00", "2024-05-12T00:00:00+00:00"),
        ("2024-05-12T02:00:00.5+0200", "2024-05-12T00:00:00.500000+00:00"),
        ("2024-05-12 00:00:00.123456789Z", "2024-05-12T00:00:00.123456+00:00"),
    ],
)
def test_times_are_understood_in_the_forms_of_other_traces(tmp_path: Path, text: str, expected: str) -> None:
    (event,), _ = read(write(tmp_path / "a.csv", f"{text},1,1"))
    assert event.time.isoformat() == expected


def test_a_moment_has_one_id_however_it_is_written(tmp_path: Path) -> None:
    texts = ("2023-11-16 18:15:46.5", "2023-11-16 18:15:46.5000000", "2023-11-16T20:15:46.50+02:00")
    ids = {read(write(tmp_path / "a.csv", f"{text},1,1"))[0][0].id for text in texts}
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2023-11-16,1,1", "is not YYYY-MM-DD"),
        ("2023-02-30 00:00:00,1,1", "day"),
        ("2023-11-16 18:15:46,-1,1", "no number of tokens"),
        ("2023-11-16 18:15:46,1.5,1", "no number of tokens"),
        ("2023-11-16 18:15:46,1,99999999999999999", "no number of tokens"),
        ("2023-11-16 18:15:46,1", "2 values instead of 3"),
    ],
)
def test_a_bad_row_is_named_and_the_others_are_read(tmp_path: Path, row: str, reason: str) -> None:
    events, bad = read(write(tmp_path / "a.csv", row, "2023-11-16 18:15:46,1,1"))
    assert len(events) == 1
    assert [one.number for one in bad] == [2]
    assert reason in bad[0].reason


def test_another_file_is_no_trace(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "c.csv").write_text(HEADING + "\n" + "x" * 5_000 + "\n")
    events, bad = read(*find_files([tmp_path]))
    assert (events, len(bad)) == ([], 3)


def test_what_is_not_there_or_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no such file"):
        find_files([tmp_path / "absent.csv"])
    with pytest.raises(InvalidInput, match="no file ending in"):
        find_files([tmp_path])
    with pytest.raises(InvalidInput, match="tenant"):
        new_origin(tenant="a b", model="m", provider="p")
    with pytest.raises(InvalidInput, match="a provider is a word"):
        new_origin(tenant="a", model="m", provider="Not A Word")


@pytest.mark.skipif(not TRACE.is_dir(), reason="the real LLM inference trace is not at ../shared/data")
def test_the_real_trace_has_the_tokens_that_it_has() -> None:
    events, bad = read(*find_files([TRACE]))
    assert (len(events), len({event.id for event in events}), bad) == (19_366, 19_366, [])
    assert sum(event.data.input_tokens for event in events) == 22_361_870
    assert sum(event.data.output_tokens for event in events) == 4_088_665
    assert events[0].source == llm_trace.SOURCE
