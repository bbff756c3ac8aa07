"""What Grafana gets of panels, rows and choices."""

from typing import Any

import pytest

from trunkline.deploy.panel import Choice, Dashboard, Panel, Query, Row, Unit, dashboard_uid


def panel(title: str = "Events", **changes: Any) -> Panel:
    wanted: dict[str, Any] = {"queries": [Query("up", "{{pod}}")], "unit": Unit.COUNT, **changes}
    return Panel(title=title, **wanted)


def model(*rows: Row, choices: tuple[Choice, ...] = ()) -> dict[str, Any]:
    return Dashboard(uid="a-uid", title="A title", rows=rows, choices=choices).model()


def places(*rows: Row) -> list[tuple[str, int, int]]:
    return [(one["title"], one["gridPos"]["x"], one["gridPos"]["y"]) for one in model(*rows)["panels"]]


def test_a_uid_is_its_parts_unless_grafana_would_refuse_it() -> None:
    assert dashboard_uid("backbone", "production", "services") == "backbone-production-services"
    assert dashboard_uid("b" * 36, "p", "s") == f"{'b' * 36}-p-s"
    long = [dashboard_uid("b" * 47, environment, "services") for environment in ("one", "two")]
    assert [len(uid) for uid in long] == [40, 40]
    assert long[0] != long[1]
    assert long[0].startswith("b" * 29 + "-")


def test_panels_fill_a_line_and_go_on_below_the_highest_of_it() -> None:
    wide = [panel("a", width=12, height=4), panel("b", width=12, height=6), panel("c", width=12)]
    assert places(Row("one", wide)) == [("one", 0, 0), ("a", 0, 1), ("b", 12, 1), ("c", 0, 7)]


def test_a_row_begins_below_the_one_before() -> None:
    assert places(Row("one", [panel(height=5)]), Row("two", [panel()]))[2:] == [
        ("two", 0, 6),
        ("Events", 0, 7),
    ]


def test_lines_over_time_ask_for_a_range_and_a_latest_value_for_an_instant() -> None:
    _, lines, latest = model(Row("one", [panel(), panel(latest=True)]))["panels"]
    assert (lines["type"], lines["targets"][0]["range"], lines["targets"][0]["instant"]) == (
        "timeseries",
        True,
        False,
    )
    assert (latest["type"], latest["targets"][0]["range"], latest["targets"][0]["instant"]) == (
        "stat",
        False,
        True,
    )


def test_queries_are_lettered_and_ask_the_chosen_source() -> None:
    queries = [Query("a", "x"), Query("b", "y")]
    _, shown = model(Row("one", [panel(queries=queries)]))["panels"]
    assert [(target["refId"], target["expr"]) for target in shown["targets"]] == [("A", "a"), ("B", "b")]
    assert {target["datasource"]["uid"] for target in shown["targets"]} == {"${datasource}"}


@pytest.mark.parametrize("latest", [False, True])
def test_red_begins_at_the_limit(latest: bool) -> None:
    _, shown = model(Row("one", [panel(limit=5, latest=latest)]))["panels"]
    steps = shown["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps == [{"color": "green", "value": None}, {"color": "red", "value": 5}]


def test_without_a_limit_there_is_no_red() -> None:
    _, shown = model(Row("one", [panel()]))["panels"]
    assert "thresholds" not in shown["fieldConfig"]["defaults"]


def test_a_choice_begins_with_all_and_leaves_out_what_has_no_such_label() -> None:
    source, choice = model(choices=(Choice("topic", ["a.b.c", "d.e.f"]),))["templating"]["list"]
    assert source["type"] == "datasource"
    assert choice["query"] == "a.b.c,d.e.f"
    assert choice["current"]["value"] == ["$__all"]
    assert choice["allValue"] == ".+"
