"""Search finds what it should, nothing else, and pages do not shift."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.client.handler import Received, Refusal
from trunkline.codec import Record
from trunkline.errors import InvalidInput
from trunkline.services.audit.queries import EntryView, Search, find, heads, search
from trunkline.services.audit.text_index import words_of

Call = Callable[..., Received]


@pytest.fixture
def ledger(new_ledger: Callable[..., Any], tmp_path: Path, store_url: str) -> Iterator[Any]:
    """Of each kind of database."""
    opened = new_ledger(tmp_path, store_url)
    yield opened
    opened.store.close()


@pytest.fixture
def filled(ledger: Any, api_call: Call) -> Any:
    ledger.record([api_call(n, tenant="acme" if n % 2 else "globex") for n in range(40)])
    ledger.record([api_call(40, actor="bob", action="iam:CreateUser")])
    return ledger


def ids(ledger: Any, limit: int = 100, **wanted: Any) -> list[str]:
    with ledger.store.read() as tx:
        return [entry.id for entry in search(tx, Search(**wanted), limit=limit).entries]


def test_without_conditions_everything_comes_newest_first(filled: Any) -> None:
    assert ids(filled) == [f"call-{n}" for n in range(40, -1, -1)]


def test_each_condition_narrows(filled: Any, api_call: Call) -> None:
    begin = api_call(0).event.time
    assert len(ids(filled, tenant="globex")) == 20
    assert ids(filled, actor="bob") == ids(filled, action="iam:CreateUser") == ["call-40"]
    assert ids(filled, resource="bucket-3", tenant="acme") == [f"call-{n}" for n in (33, 23, 13, 3)]
    assert len(ids(filled, resource_type="bucket")) == 41
    assert ids(filled, outcome="denied") == []
    assert len(ids(filled, type="access.api_called.v1")) == 41
    assert ids(filled, correlation_id="request-5") == ["call-11", "call-10"]
    second = timedelta(seconds=1)
    assert ids(filled, time_from=begin + 10 * second, time_to=begin + 12 * second) == ["call-11", "call-10"]
    assert ids(filled, actor="ana", outcome="success", tenant="acme", text="reports-7") == ["call-7"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("reports-12", ["call-12"]),
        ("REPORTS-12", ["call-12"]),
        ("reports 12", ["call-12"]),
        (
            "reports-3*",
            ["call-39", "call-38", "call-37", "call-36", "call-35", "call-34", "call-33", "call-32"],
        ),
        ("bob s3.amazonaws.com", ["call-40"]),
        ("bob nobody", []),
        ('"; DROP TABLE audit_event --', []),
        ("NOT reports", []),
    ],
)
def test_text_means_all_words_and_never_syntax(filled: Any, words: str, found: list[str]) -> None:
    assert ids(filled, text=words)[: len(found) or None][:8] == found


@pytest.mark.parametrize("words", ["", "  ", "*", '" -'])
def test_a_text_without_a_word_is_refused(filled: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match="no word"):
        ids(filled, text=words)


def test_field_names_are_not_words(filled: Any) -> None:
    assert ids(filled, text="requestParameters") == []


def test_pages_follow_each_other_without_gap_and_do_not_shift(filled: Any, api_call: Call) -> None:
    seen: list[str] = []
    after: str | None = None
    for page_number in range(100):
        with filled.store.read() as tx:
            page = search(tx, Search(tenant="acme"), limit=3, after=after)
        seen += [entry.id for entry in page.entries]
        filled.record([api_call(1000 + page_number)])  # Newer than all of them.
        after = page.next
        if after is None:
            break
    assert seen == ["call-40", *(f"call-{n}" for n in range(39, 0, -2))]


@pytest.mark.parametrize("cursor", ["x", "e30=", "WzEsMl0=", "ä"])
def test_a_made_up_cursor_is_refused(filled: Any, cursor: str) -> None:
    with filled.store.read() as tx, pytest.raises(InvalidInput, match="cursor"):
        search(tx, Search(), after=cursor)


@pytest.mark.parametrize("limit", [0, 1001])
def test_the_size_of_a_page_is_bounded(filled: Any, limit: int) -> None:
    with filled.store.read() as tx, pytest.raises(InvalidInput, match="1 to 1000"):
        search(tx, Search(), limit=limit)


def test_an_entry_is_shown_with_its_data_and_headers(filled: Any) -> None:
    with filled.store.read() as tx:
        (shown,) = search(tx, Search(actor="bob")).entries
    assert isinstance(shown, EntryView)
    assert shown.data["detail"] == {"requestParameters": {"bucketName": "reports-40"}}
    assert shown.headers["ce_id"] == "call-40"
    assert shown.time.isoformat() == "2026-01-02T03:04:45.678901+00:00"


def test_garbage_is_found_by_its_words_and_shown_as_text(ledger: Any) -> None:
    with ledger.store.write() as tx:
        record = Record("ml.model.events", 0, 0, -1, None, b"strange \xff things", ())
        ledger.handler.refused(tx, record, Refusal("undecodable", "not JSON"))
        (shown,) = search(tx, Search(text="strange things")).entries
    assert shown.data == "strange � things"


def test_an_event_is_found_by_its_id(filled: Any) -> None:
    with filled.store.read() as tx:
        assert [entry.seq for entry in find(tx, "call-40")] == [20]
        assert find(tx, "call-40", tenant="globex") == []


def test_heads_tell_how_much_there_is(filled: Any) -> None:
    with filled.store.read() as tx:
        assert [(head.tenant, head.size) for head in heads(tx)] == [("acme", 21), ("globex", 20)]
        assert [head.tenant for head in heads(tx, tenant="globex")] == ["globex"]


@given(st.binary(max_size=200))
def test_any_body_can_be_indexed(body: bytes) -> None:
    from trunkline.services.audit.handler import refused_entry

    record = Record("ml.model.events", 0, 0, -1, None, body, ())
    assert isinstance(words_of(refused_entry(record, Refusal("x", "y"), now_us=1)), str)


def test_the_ledger_of_each_database_verifies(filled: Any) -> None:
    assert filled.checkpoint() > 0
    assert filled.verify().ok


def test_accents_and_case_make_no_difference(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(1, action="Zürich:Öffnen"), api_call(2)])
    assert ids(ledger, text="zurich OFFNEN") == ["call-1"]
