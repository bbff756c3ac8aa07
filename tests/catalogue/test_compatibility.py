"""What changes a contract in a way that hurts, whom, and what does not."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.catalogue.compatibility import breaking, compare, hurt_services
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.snapshot import Snapshot, parse_snapshot, take_snapshot
from trunkline.errors import InvalidInput

BASE: dict[str, Any] = msgspec.to_builtins(take_snapshot(load_catalogue()))
QUERY = "query.completed.v1"
QUERY_CONSUMERS = ("audit-service", "billing-service", "data-quality-service")
EVERYONE = tuple(sorted(BASE["services"]))

Edit = Callable[[dict[str, Any]], Any]


def edited(edit: Edit) -> Snapshot:
    contract = msgspec.json.decode(msgspec.json.encode(BASE))
    edit(contract)
    return msgspec.convert(contract, Snapshot)


def original() -> Snapshot:
    return msgspec.convert(BASE, Snapshot)


def schema(contract: dict[str, Any], event: str = QUERY) -> Any:
    return contract["events"][event]["schema"]


def field(contract: dict[str, Any], name: str, event: str = QUERY) -> Any:
    return schema(contract, event)["properties"][name]


def cluster(contract: dict[str, Any]) -> Any:
    return contract["environments"]["production"]["cluster"]


def topic(contract: dict[str, Any], name: str = "query.execution.events") -> Any:
    return contract["topics"][name]


def require(contract: dict[str, Any], name: str) -> None:
    schema(contract)["required"].append(name)


def add_required(contract: dict[str, Any]) -> None:
    schema(contract)["properties"]["warehouse"] = {"type": "string"}
    require(contract, "warehouse")


def remove_required(contract: dict[str, Any]) -> None:
    del schema(contract)["properties"]["user_id"]
    schema(contract)["required"].remove("user_id")


BREAKING: list[tuple[str, Edit, tuple[str, ...]]] = [
    ("required_field_added", add_required, QUERY_CONSUMERS),
    ("required_field_removed", remove_required, QUERY_CONSUMERS),
    ("field_became_required", lambda c: require(c, "origin"), QUERY_CONSUMERS),
    ("field_became_optional", lambda c: schema(c)["required"].remove("user_id"), QUERY_CONSUMERS),
    ("type_changed", lambda c: field(c, "rows_returned").update(type="string"), QUERY_CONSUMERS),
    ("type_changed", lambda c: field(c, "cpu_us")["anyOf"].pop(), QUERY_CONSUMERS),
    ("type_changed", lambda c: field(c, "tables")["items"].update(type="integer"), QUERY_CONSUMERS),
    ("constraint_tightened", lambda c: field(c, "query_id").update(maxLength=64), QUERY_CONSUMERS),
    ("constraint_tightened", lambda c: field(c, "query_id").update(minLength=2), QUERY_CONSUMERS),
    ("constraint_tightened", lambda c: field(c, "cpu_us")["anyOf"][0].update(minimum=1), QUERY_CONSUMERS),
    ("constraint_tightened", lambda c: field(c, "tables").update(maxItems=9), QUERY_CONSUMERS),
    ("constraint_loosened", lambda c: field(c, "query_id").update(maxLength=512), QUERY_CONSUMERS),
    ("constraint_loosened", lambda c: field(c, "query_id").pop("minLength"), QUERY_CONSUMERS),
    ("constraint_changed", lambda c: field(c, "origin").update(pattern="^x$"), QUERY_CONSUMERS),
    ("constraint_changed", lambda c: field(c, "query_id").update(format="uuid"), QUERY_CONSUMERS),
    ("default_changed", lambda c: field(c, "cache_hit").update(default=True), QUERY_CONSUMERS),
    ("default_changed", lambda c: field(c, "cache_hit").pop("default"), QUERY_CONSUMERS),
    ("enum_value_added", lambda c: field(c, "engine")["enum"].append("flink"), QUERY_CONSUMERS),
    ("enum_value_removed", lambda c: field(c, "engine")["enum"].remove("spark"), QUERY_CONSUMERS),
    ("enum_changed", lambda c: field(c, "engine").pop("enum"), QUERY_CONSUMERS),
    (
        "constraint_tightened",
        lambda c: field(c, "metrics", "model.version_created.v1")["additionalProperties"].update(maximum=1),
        ("audit-service", "catalog-service"),
    ),
    ("event_removed", lambda c: c["events"].pop(QUERY), QUERY_CONSUMERS),
    ("event_moved", lambda c: c["events"][QUERY].update(topic="ai.agent.events"), QUERY_CONSUMERS),
    (
        "topic_removed",
        lambda c: c["topics"].pop("ml.model.events"),
        ("audit-service", "catalog-service", "ml-service"),
    ),
    ("consumer_removed", lambda c: topic(c)["consumers"].remove("billing-service"), ("billing-service",)),
    (
        "publisher_changed",
        lambda c: topic(c).update(publisher="ai-service"),
        (*QUERY_CONSUMERS, "query-engine"),
    ),
    ("partitions_reduced", lambda c: topic(c)["partitions"].update(production=3), QUERY_CONSUMERS),
    ("service_removed", lambda c: c["services"].remove("ml-service"), ("ml-service",)),
    ("environment_removed", lambda c: c["environments"].pop("development"), EVERYONE),
    ("promise_lowered", lambda c: c["environments"]["production"].update(retention_ms=1), EVERYONE),
    ("promise_lowered", lambda c: c["environments"]["production"].update(min_insync_replicas=1), EVERYONE),
    ("promise_lowered", lambda c: c["environments"]["production"].update(max_message_bytes=1), EVERYONE),
    ("cluster_replaced", lambda c: cluster(c).update(quorum="5 x controller"), EVERYONE),
    ("cluster_replaced", lambda c: cluster(c).update(name="other"), EVERYONE),
    ("cluster_replaced", lambda c: cluster(c).update(namespace="other"), EVERYONE),
]

COMPATIBLE: list[tuple[str, Edit]] = [
    (
        "optional_field_added",
        lambda c: schema(c)["properties"].update(warehouse={"type": "string", "default": ""}),
    ),
    ("optional_field_removed", lambda c: schema(c)["properties"].pop("origin")),
    ("note_changed", lambda c: field(c, "user_id").update({"x-pii": True})),
    ("event_added", lambda c: c["events"].update({"query.queued.v1": c["events"][QUERY]})),
    ("topic_added", lambda c: c["topics"].update({"a.b.c": topic(c)})),
    ("consumer_added", lambda c: topic(c)["consumers"].append("catalog-service")),
    ("partitions_added", lambda c: topic(c)["partitions"].update(production=12)),
    ("service_added", lambda c: c["services"].append("new-service")),
    ("environment_added", lambda c: c["environments"].update(staging=c["environments"]["production"])),
    ("setting_changed", lambda c: c["environments"]["production"].update(retention_ms=2**40)),
    ("setting_changed", lambda c: c["environments"]["production"].update(compression="zstd")),
    ("cluster_declared", lambda c: c["environments"]["production"].pop("cluster")),
    ("cluster_declared", lambda c: c["environments"]["production"].update(cluster="?")),
]


@pytest.mark.parametrize(("code", "edit", "hurt"), BREAKING)
def test_a_breaking_change_names_the_services_it_hurts(code: str, edit: Edit, hurt: tuple[str, ...]) -> None:
    changes = compare(original(), edited(edit))
    assert code in {change.code for change in breaking(changes)}
    assert hurt_services(change for change in changes if change.code == code) == tuple(sorted(hurt))


def test_a_change_of_the_quorum_says_why_it_cannot_be() -> None:
    [change] = compare(original(), edited(lambda c: cluster(c).update(quorum="5 x controller")))
    assert change.message == (
        "quorum of the cluster was 3 x controller and is 5 x controller; "
        "Strimzi's quorum neither grows nor shrinks"
    )


@pytest.mark.parametrize(("code", "edit"), COMPATIBLE)
def test_a_compatible_change_is_reported_and_hurts_nobody(code: str, edit: Edit) -> None:
    changes = compare(original(), edited(edit))
    assert code in {change.code for change in changes}
    assert breaking(changes) == ()
    assert hurt_services(changes) == ()


def test_equal_contracts_differ_in_nothing() -> None:
    assert compare(original(), original()) == ()


def test_tightening_one_way_is_loosening_the_other() -> None:
    tighter = edited(lambda contract: field(contract, "query_id").update(maxLength=64))
    assert [change.code for change in compare(original(), tighter)] == ["constraint_tightened"]
    assert [change.code for change in compare(tighter, original())] == ["constraint_loosened"]


def test_a_change_of_the_configuration_topic_would_hurt_every_service() -> None:
    def edit(contract: dict[str, Any]) -> None:
        field(contract, "version", "config.value_set.v1").update(minimum=2)

    assert hurt_services(compare(original(), edited(edit))) == EVERYONE


def test_a_change_is_one_line_with_its_place_and_its_victims() -> None:
    (change,) = compare(original(), edited(lambda contract: field(contract, "query_id").update(maxLength=64)))
    assert str(change) == (
        "breaking: query.completed.v1: $.query_id maxLength was 256 and is 64; old events may break it "
        "(hurts audit-service, billing-service, data-quality-service)"
    )


def test_breaking_changes_come_first() -> None:
    def edit(contract: dict[str, Any]) -> None:
        contract["services"].append("a-new-service")
        contract["events"].pop(QUERY)

    assert [change.severity for change in compare(original(), edited(edit))] == ["breaking", "compatible"]


def retire(contract: dict[str, Any]) -> None:
    contract["events"][QUERY]["retired"] = {"warehouse": {"type": "string", "default": ""}}


def test_a_retired_member_may_come_back_as_what_it_was() -> None:
    def revive(contract: dict[str, Any]) -> None:
        schema(contract)["properties"]["warehouse"] = {"type": "string", "default": ""}

    assert [change.code for change in compare(edited(retire), edited(revive))] == ["optional_field_added"]


def test_a_retired_member_that_comes_back_as_something_else_hurts_consumers() -> None:
    def revive(contract: dict[str, Any]) -> None:
        schema(contract)["properties"]["warehouse"] = {"type": "integer", "default": 0}

    (change,) = breaking(compare(edited(retire), edited(revive)))
    assert (change.code, change.hurts) == ("field_revived", QUERY_CONSUMERS)


ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@settings(max_examples=150, deadline=None)
@given(draw=st.data())
def test_a_damaged_snapshot_is_compared_or_refused_and_never_a_crash(draw: st.DataObject) -> None:
    contract = msgspec.json.decode(msgspec.json.encode(BASE))
    contract["events"] = {QUERY: contract["events"][QUERY]}
    node, depth = contract, draw.draw(st.integers(1, 6))
    for level in range(depth):
        names = sorted(node) if isinstance(node, dict) else range(len(node))
        place = draw.draw(st.sampled_from(list(names)))
        if level == depth - 1 or not isinstance(node[place], dict | list) or not node[place]:
            node[place] = draw.draw(ODD)
            break
        node = node[place]
    damaged: Snapshot | None = None
    try:
        damaged = parse_snapshot(msgspec.json.encode(contract), file="damaged.json")
    except InvalidInput as error:
        assert "damaged.json" in str(error)  # noqa: PT017 - being compared is as good an outcome
    if damaged is not None:
        for change in (*compare(original(), damaged), *compare(damaged, original())):
            assert str(change)
