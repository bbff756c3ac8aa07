"""The dashboards as Grafana gets them."""

import json
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.dashboards import all_dashboards, dashboards
from trunkline.deploy.text import document
from trunkline.testing.clusters import a_cluster
from trunkline.testing.kubernetes import problems

ENVIRONMENTS = ["development", "production"]
UID_MAX = 40
"""Grafana refuses longer ones."""


def models(environment: str, **changes: Any) -> list[dict[str, Any]]:
    return [
        json.loads(text)
        for one in dashboards(load_catalogue(), environment, a_cluster(**changes))
        for text in one.body["data"].values()
    ]


def test_they_are_kept_whole_by_a_kubernetes_api(schemas: Path) -> None:
    for one in dashboards(load_catalogue(), "production", a_cluster()):
        assert problems(one.manifest(), schemas) == []


def test_grafanas_sidecar_finds_them_and_flux_leaves_them_alone() -> None:
    for one in dashboards(load_catalogue(), "production", a_cluster()):
        assert one.labels["grafana_dashboard"] == "1"
        assert one.annotations["kustomize.toolkit.fluxcd.io/substitute"] == "disabled"
        (file,) = one.body["data"]
        assert file.endswith(".json")


def test_the_same_catalogue_gives_the_same_text() -> None:
    first, second = (
        [document(one) for one in dashboards(load_catalogue(), "production", a_cluster())] for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("cluster", ["backbone", "b" * 47])
def test_a_dashboard_is_named_after_its_environment_and_no_two_alike(cluster: str) -> None:
    found = [model for environment in ENVIRONMENTS for model in models(environment, name=cluster)]
    for key in ("uid", "title"):
        assert len({model[key] for model in found}) == len(found)
    assert max(len(model["uid"]) for model in found) <= UID_MAX


@pytest.mark.parametrize("model", models("production"), ids=lambda model: model["title"])
def test_no_two_panels_lie_on_each_other_or_have_one_number(model: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in model["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
    numbers = [panel["id"] for panel in model["panels"]]
    assert sorted(set(numbers)) == numbers


@pytest.mark.parametrize("model", models("production"), ids=lambda model: model["title"])
def test_every_variable_that_a_query_uses_is_declared(model: dict[str, Any]) -> None:
    declared = {variable["name"] for variable in model["templating"]["list"]}
    assert declared == {"datasource", "topic" if "backbone" in model["title"] else "service"}
    for panel in model["panels"]:
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"
            assert "$" not in target["expr"].replace("$topic", "").replace("$service", "")


def test_the_choices_are_the_catalogues() -> None:
    catalogue = load_catalogue()
    of = dict(all_dashboards(catalogue, "production", a_cluster()))
    assert of["backbone"].choices[0].values == sorted(catalogue.topics)
    assert of["services"].choices[0].values == sorted(catalogue.services)


@pytest.mark.parametrize("model", models("production"), ids=lambda model: model["title"])
def test_a_limit_is_shown_where_an_alert_has_one(model: dict[str, Any]) -> None:
    limits = {
        panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"]
        for panel in model["panels"]
        if "thresholds" in panel.get("fieldConfig", {}).get("defaults", {})
    }
    expected = {"Records not consumed": 10_000} if "backbone" in model["title"] else {"Age of the oldest": 60}
    assert expected.items() <= limits.items()
