"""Facts to numbers: the same for any order, and step by step what it is at once."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.client.handler import PermanentFailure
from trunkline.services.billing.facts import Fact
from trunkline.services.billing.metering import NOTHING, WHOLE, Total, add, measure, members, walk
from trunkline.services.billing.meters import Meters, Stored, meters_of

TYPE = "query.completed.v1"
KEY = ("acme", "2026-11", "TESTED", WHOLE)
AGGREGATIONS = ("count", "sum", "max", "latest", "unique")


def stored(aggregation: str, *, version: int = 1, effective_us: int = 0, **fields: Any) -> Stored:
    value = {"count": [], "unique": "user_id"}.get(aggregation, "rows_returned")
    setting = {
        "event_type": TYPE,
        "aggregation": aggregation,
        "unit": "x",
        "value": value,
        "version": version,
    }
    return ("TESTED", version, effective_us, msgspec.json.encode(setting | fields).decode())


def meters(aggregation: str, **fields: Any) -> Meters:
    return meters_of((stored(aggregation, **fields),))


def fact(number: int, time_us: int, rows: int | None, user: str) -> Fact:
    data: dict[str, Any] = {"user_id": user} if rows is None else {"user_id": user, "rows_returned": rows}
    return Fact(
        tenant="acme",
        period="2026-11",
        type=TYPE,
        source="/s",
        id=str(number),
        time_us=time_us,
        arrived_us=0,
        data=data,
    )


FACTS = st.lists(
    st.tuples(st.integers(-(10**9), 10**9), st.none() | st.integers(0, 2**53 - 1), st.sampled_from("abcde")),
    min_size=1,
    max_size=30,
).map(lambda rows: [fact(number, *row) for number, row in enumerate(rows)])


def total_of(facts: list[Fact], of: Meters) -> Total:
    line = measure(facts, of).get(KEY)
    if line is None:
        return NOTHING
    return add(NOTHING, line, members(line) if line.version.aggregation == "unique" else ())


@given(facts=FACTS, aggregation=st.sampled_from(AGGREGATIONS), data=st.data())
def test_a_number_is_the_same_for_any_order(facts: list[Fact], aggregation: str, data: st.DataObject) -> None:
    of = meters(aggregation)
    other = data.draw(st.permutations(facts))
    assert total_of(facts, of) == total_of(other, of)


@given(facts=FACTS, aggregation=st.sampled_from(("count", "sum", "max", "latest")), cut=st.integers(0, 30))
def test_a_number_is_the_same_however_its_facts_are_cut_into_batches(
    facts: list[Fact], aggregation: str, cut: int
) -> None:
    of = meters(aggregation)
    found = NOTHING
    for part in (facts[:cut], facts[cut:]):
        line = measure(part, of).get(KEY)
        found = found if line is None else add(found, line)
    assert found == total_of(facts, of)


@given(facts=FACTS, aggregation=st.sampled_from(AGGREGATIONS))
def test_step_by_step_it_comes_to_what_it_is_at_once(facts: list[Fact], aggregation: str) -> None:
    of = meters(aggregation)
    line = measure(facts, of).get(KEY)
    if line is None:
        return
    new = members(line) if aggregation == "unique" else ()
    steps = list(walk(NOTHING, line, new))
    assert [one.id for one, _ in steps] == [one.id for one in line.facts]
    assert steps[-1][1] == add(NOTHING, line, new)


@given(facts=FACTS)
def test_a_sum_with_a_factor_is_exact(facts: list[Fact]) -> None:
    found = total_of(facts, meters("sum", factor="0.000000001"))
    rows = sum(one.data.get("rows_returned", 0) for one in facts)
    assert int(found.value.scaleb(9)) == rows
    assert found.value == Decimal(rows).scaleb(-9)


def test_a_fact_without_the_value_is_not_counted() -> None:
    assert total_of([fact(1, 0, None, "a")], meters("sum")) == NOTHING


def test_facts_of_several_versions_keep_their_order() -> None:
    """Where a version begins in the middle of a batch, a level must be found at the same fact as later."""
    later: dict[str, Any] = {"version": 2, "factor": "2", "effective_from": "1970-01-01T00:00:00.000010Z"}
    of = meters_of((stored("sum"), stored("sum", effective_us=10, **later)))
    facts = [fact(number, time_us, 1, "a") for number, time_us in enumerate((5, 15, 6, 16))]
    line = measure(facts, of)[KEY]
    assert [one.id for one in line.facts] == ["0", "1", "2", "3"]
    assert line.values == [1, 2, 1, 2]


def test_a_quantity_that_no_event_could_tell_is_refused() -> None:
    facts = [fact(number, 0, 2**53 - 1, "a") for number in range(112)]
    with pytest.raises(PermanentFailure, match="that is no usage"):
        total_of(facts, meters("sum"))
