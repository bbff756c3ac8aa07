"""`trunkline assets` on the store of a catalog."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.events import model as ml
from trunkline.catalogue.events import policy as gov
from trunkline.testing.catalog_desk import at, opened, said

Run = Callable[..., Any]
TABLE = "urn:table:sales.orders"
VERSION = "urn:model_version:churn/1"


@pytest.fixture
def assets(trunkline: Run, tmp_path: Path) -> Run:
    """`trunkline assets …` on a catalog with a version of a model, and a table that is quarantined."""
    (tmp_path / "services").mkdir()
    with opened(f"sqlite:///{tmp_path / 'services' / 'catalog-service.db'}") as catalog:
        created = ml.ModelVersionCreated(
            model="churn", version=1, actor_id="ana", source_uri="s3://m/1", trained_on=(TABLE, "urn:bad")
        )
        quarantined = gov.AssetQuarantined(asset=TABLE, decision_id="d-1", reason="bad", actor_id="gov")
        stage = ml.ModelStageChanged(
            model="churn", version=1, previous_stage="none", stage="staging", actor_id="ana"
        )
        alias = ml.ModelAliasSet(model="churn", alias="champion", version=1, actor_id="ana")
        lost = ml.ModelAliasSet(model="churn", alias="next", version=9, actor_id="ana")
        events = (created, quarantined, stage, alias, lost)
        catalog.take(*(said(event, minute) for minute, event in enumerate(events)))

    def call(*arguments: str) -> Any:
        tenant = () if arguments[0] == "reindex" else ("--tenant", "acme")
        return trunkline("assets", *arguments, *tenant, "--data-dir", str(tmp_path))

    return call


def test_assets_are_searched(assets: Run) -> None:
    assert assets("search", "--quarantined").out == f"{TABLE}\tmentioned\t\t\tquarantined\n"
    assert assets("search", "s3", "--json").json()["items"][0]["stage"] == "staging"
    page = assets("search", "--kind", "model_version", "--limit", "1")
    assert page.err.startswith("more: --after ")
    assert assets("search", "nothing").err == "nothing found\n"


def test_a_stage_or_kind_that_there_is_not_is_refused_with_those_that_there_are(assets: Run) -> None:
    stage = assets("search", "--stage", "prodction")
    assert (stage.code, "archived" in stage.err) == (2, True)
    kind = assets("search", "--kind", "modl")
    assert (kind.code, "model_version" in kind.err) == (2, True)


def test_an_asset_is_shown_now_and_then(assets: Run) -> None:
    shown = assets("show", "SALES.Orders").out
    assert shown.startswith(f"{TABLE}\tmentioned")
    assert "quarantine\td-1\tenforce\tin force" in shown
    then = assets("show", TABLE, "--as-of", at(0).isoformat(), "--json").json()
    assert then["badges"] == []
    missing = assets("show", "urn:model:none")
    assert missing.code == 2
    assert "no such asset is known" in missing.err


@pytest.mark.parametrize("of", [["history", TABLE + "x"], ["lineage", TABLE + "x"], ["models", "none"]])
def test_an_asset_that_nobody_has_spoken_of_is_exit_code_2(assets: Run, of: list[str]) -> None:
    missing = assets(*of)
    assert (missing.code, "no such asset is known" in missing.err) == (2, True)


def test_history_differences_and_lineage_are_told(assets: Run) -> None:
    lines = assets("history", "urn:model:churn", "--facet", "alias:champion").out.splitlines()
    assert [line.split("\t")[1:3] for line in lines] == [["alias:champion", "set"]]
    difference = assets("diff", VERSION, "--from", at(1).isoformat()).out
    assert difference.startswith("stage\t\t{")
    assert assets("diff", VERSION).code == 2
    assert assets("lineage", TABLE).out.splitlines()[1] == f"  {VERSION}\tdefined"
    assert assets("lineage", VERSION, "--up", "--json").json()["nodes"][1]["urn"] == TABLE


def test_models_are_asked_for(assets: Run) -> None:
    assert assets("models", "--on", TABLE).out == "churn 1\tstaging\tchampion\t\n"
    assert assets("models", "churn").out == "churn 1\tstaging\tchampion\t\n"
    assert assets("models", "churn@champion").out == f"{VERSION}\t\n"
    assert "pending" in assets("models", "churn@next").out
    assert assets("models").code == 2
    assert "has no alias" in assets("models", "churn@nobody").err


def test_what_waits_and_what_was_rejected_is_listed(assets: Run) -> None:
    assert "urn:model_version:churn/9\turn:model:churn alias:next" in assets("pending").out
    assert "urn:bad" in assets("rejected").out


def test_the_text_index_is_made_anew(assets: Run) -> None:
    assert assets("reindex").out == "4 assets indexed\n"
