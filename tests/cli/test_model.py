"""`trunkline model`: the registry from the command line, and the catalog that follows from it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def model(trunkline: Run, tmp_path: Path) -> Run:
    """`trunkline model …` for acme's ana in a directory of the test's own."""

    def call(*arguments: str, actor: str | None = "ana") -> Any:
        who = () if actor is None else ("--actor", actor)
        return trunkline("model", *arguments, *who, "--tenant", "acme", "--data-dir", str(tmp_path))

    return call


def test_a_version_is_brought_to_production(model: Run) -> None:
    assert model("register", "churn", "--owner", "ana").out == "registered churn\n"
    made = model(
        "version", "churn", "--source", "s3://m/1", "--metric", "auc=0.91", "--trained-on", "sales.orders"
    )
    assert made.out == "churn 1\n"
    for stage in ("development", "staging"):
        assert model("stage", "churn", "1", stage).out == f"churn 1 is in {stage}\n"
    assert "waits for approval by somebody else" in model("stage", "churn", "1", "production").out
    assert model("approve", "churn", "1").code == 1
    assert model("approve", "churn", "1", actor="ben").out == "churn 1 is in production\n"
    assert model("alias", "churn", "champion", "1").out == "churn@champion is churn 1\n"
    assert model("tag", "churn", "reviewed", "yes", "--version", "1").out == "reviewed: yes\n"
    assert model("deploy", "churn", "1", "eu", "--replicas", "2").out == "churn 1 answers at eu\n"
    assert model("drift", "churn", "1", "--metric", "psi", "--value", "0.3", "--threshold", "0.2").code == 0
    shown = model("show", "churn", "--json", actor=None).json()
    assert shown["model"]["aliases"] == {"champion": 1}
    (version,) = shown["versions"]
    assert (version["stage"], version["endpoints"], version["tags"]) == (
        "production",
        {"eu": 2},
        {"reviewed": "yes"},
    )
    assert version["trained_on"] == ["urn:table:sales.orders"]
    assert model("show", actor=None).out == "churn\t1\tchampion=1\tana\n"
    for step in (
        ("undeploy", "churn", "1", "eu"),
        ("alias", "churn", "champion", "--remove"),
        ("tag", "churn", "reviewed", "--version", "1", "--remove"),
        ("delete", "churn", "1"),
        ("delete", "churn"),
    ):
        assert model(*step).code == 0
    assert model("show", actor=None).err == "nothing found\n"


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("stage", "churn", "1", "production"), "from there it goes to development or archived only", 1),
        (("stage", "churn", "1", "heaven"), "is no stage; use none, development", 2),
        (("register", "churn"), "there is a model 'churn' already", 1),
        (("version", "fraud", "--source", "s3://m"), "there is no model 'fraud'", 2),
        (("version", "churn", "--source", "s3://m", "--metric", "auc"), "write NAME=VALUE", 2),
        (("alias", "churn", "champion"), "give either the version", 2),
        (("alias", "churn", "champion", "7"), "has no version 7", 2),
        (("tag", "churn", "k"), "give either what the tag says", 2),
        (("deploy", "churn", "1", "eu"), "churn 1 is in none", 1),
    ],
)
def test_a_refusal_is_one_line(model: Run, arguments: tuple[str, ...], said: str, code: int) -> None:
    model("register", "churn")
    model("version", "churn", "--source", "s3://m")
    refused = model(*arguments)
    assert (refused.code, refused.out) == (code, "")
    assert said in refused.err
    assert len(refused.err.splitlines()) == 1


def test_the_same_key_registers_once(model: Run) -> None:
    model("register", "churn")
    for _ in range(2):
        assert model("version", "churn", "--source", "s3://m", "--key", "k").out == "churn 1\n"


def test_nothing_is_shown_where_there_is_no_store(model: Run) -> None:
    shown = model("show", actor=None)
    assert shown.code == 2
    assert "ml-service has no store" in shown.err
