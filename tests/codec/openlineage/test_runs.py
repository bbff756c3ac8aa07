"""A run's events on the pipeline topic."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalogue.events import Event, event_type_of
from trunkline.catalogue.events.pipeline import (
    PipelineRunAborted,
    PipelineRunCompleted,
    PipelineRunFailed,
    PipelineRunStarted,
)
from trunkline.catalogue.names import TenantId
from trunkline.codec import encode_checked, new_envelope
from trunkline.codec.openlineage.run_event import RunEvent, decode_run_event
from trunkline.codec.openlineage.runs import FACETS_BYTES_MAX, pipeline_event, root_run, run_event_id
from trunkline.testing.lineage import BEGIN, dataset, run_event


def read(event_type: str, **others: Any) -> RunEvent:
    return decode_run_event(msgspec.json.encode(run_event(event_type, **others)))


def told(event_type: str, **others: Any) -> Event | None:
    return pipeline_event(read(event_type, **others), started=BEGIN)


@pytest.mark.parametrize(
    ("event_type", "expected"),
    [
        ("START", "pipeline.run_started.v1"),
        ("RUNNING", "pipeline.run_running.v1"),
        ("COMPLETE", "pipeline.run_completed.v1"),
        ("FAIL", "pipeline.run_failed.v1"),
        ("ABORT", "pipeline.run_aborted.v1"),
    ],
)
def test_each_state_has_its_event_and_every_one_is_valid(event_type: str, expected: str) -> None:
    event = told(event_type, seconds=2)
    assert event is not None
    assert event_type_of(event) == expected
    encode_checked(new_envelope(event, tenant=TenantId("acme"), source="/tests", time=BEGIN))


def test_other_says_nothing_about_where_a_run_is() -> None:
    assert told("OTHER") is None


def test_datasets_are_named_as_every_other_service_names_them() -> None:
    event = told(
        "START", inputs=[dataset("jaffle_shop.main.raw")], outputs=[dataset("jaffle_shop.main.orders")]
    )
    assert isinstance(event, PipelineRunStarted)
    assert (event.inputs, event.outputs) == (("urn:table:main.raw",), ("urn:table:main.orders",))


def test_an_end_says_how_long_it_took_and_what_was_written() -> None:
    written = dataset("jaffle_shop.main.orders") | {
        "outputFacets": {"outputStatistics": {"rowCount": 99, "size": 1_000}}
    }
    event = told("COMPLETE", seconds=1.5, outputs=[written])
    assert isinstance(event, PipelineRunCompleted)
    assert (event.duration_ms, event.rows_written, event.bytes_written) == (1_500, 99, 1_000)


def test_an_end_without_a_known_start_took_no_time_that_is_known() -> None:
    event = pipeline_event(read("COMPLETE", seconds=9), started=None)
    assert isinstance(event, PipelineRunCompleted)
    assert event.duration_ms == 0


def test_a_failure_says_what_the_producer_says() -> None:
    run = {"runId": "r", "facets": {"errorMessage": {"message": "no such\n table"}}}
    failed, aborted = told("FAIL") is not None, told("ABORT")
    assert failed
    assert isinstance(aborted, PipelineRunAborted)
    event = pipeline_event(
        decode_run_event(msgspec.json.encode(run_event("FAIL") | {"run": run})), started=None
    )
    assert isinstance(event, PipelineRunFailed)
    assert event.message == "no such table"


def test_a_schedule_and_a_parent_are_told() -> None:
    facets = {
        "nominalTime": {"nominalStartTime": "2026-11-23T05:00:00Z"},
        "parent": {"run": {"runId": "p"}, "root": {"run": {"runId": "top"}}},
    }
    run = decode_run_event(
        msgspec.json.encode(run_event("START") | {"run": {"runId": "r", "facets": facets}})
    )
    event = pipeline_event(run, started=None)
    assert isinstance(event, PipelineRunStarted)
    assert (event.trigger, event.parent_run_id, root_run(run)) == ("schedule", "p", "top")
    assert event.scheduled_for is not None


def test_facets_that_do_not_fit_are_left_out_those_of_datasets_first() -> None:
    large = {"schema": {"text": "x" * FACETS_BYTES_MAX}}
    job = {"namespace": "dbt", "name": "j", "facets": {"sql": {"query": "SELECT 1", "_producer": "p"}}}
    event = told("START", job=job, inputs=[dataset("a.b.c") | {"facets": large}])
    assert isinstance(event, PipelineRunStarted)
    assert event.facets == {"job": {"sql": {"query": "SELECT 1"}}}
    huge = told("START", job=job | {"facets": large})
    assert isinstance(huge, PipelineRunStarted)
    assert huge.facets == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
facet_names = st.sampled_from(["nominalTime", "parent", "errorMessage", "outputStatistics", "x"])


@given(
    st.sampled_from(["START", "RUNNING", "COMPLETE", "FAIL", "ABORT"]),
    st.dictionaries(facet_names, json_values, max_size=4),
)
def test_whatever_facets_hold_the_event_is_valid(event_type: str, facets: dict[str, Any]) -> None:
    given_one = run_event(event_type, outputs=[dataset("a.b.c") | {"outputFacets": facets}])
    run = decode_run_event(msgspec.json.encode(given_one | {"run": {"runId": "r", "facets": facets}}))
    event = pipeline_event(run, started=BEGIN)
    assert event is not None
    encode_checked(new_envelope(event, tenant=TenantId("acme"), source="/tests", time=BEGIN))


def test_a_run_begins_and_ends_once_and_runs_at_many_times() -> None:
    assert run_event_id(read("START", seconds=1)) == run_event_id(read("START", seconds=2))
    assert run_event_id(read("RUNNING", seconds=1)) != run_event_id(read("RUNNING", seconds=2))
    assert run_event_id(read("FAIL")) != run_event_id(read("COMPLETE"))
