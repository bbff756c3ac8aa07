"""A real MLflow registry in SQLite, read as facts."""

import logging
import warnings
from collections.abc import Iterator
from math import nan
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.events.model import ModelRegistered, ModelTagSet, ModelVersionCreated
from trunkline.cli._mlflow import ENVIRONMENT
from trunkline.errors import InvalidInput
from trunkline.sources.bad import BadInput
from trunkline.sources.mlflow_facts import Fact, Key
from trunkline.sources.mlflow_registry import EMPTY, read_registry

pytest.importorskip("mlflow")
# MLflow and what it depends on warn of themselves.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The database of an MLflow that has just been set up, which takes a second."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        path = tmp_path_factory.mktemp("mlflow") / "empty.db"
        logging.getLogger("mlflow").setLevel(logging.CRITICAL)
        client_of(path).search_registered_models()
        yield path


@pytest.fixture
def database(empty: Path, tmp_path: Path) -> Path:
    path = tmp_path / "mlflow.db"
    path.write_bytes(empty.read_bytes())
    return path


def client_of(path: Path) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{path}", registry_uri=f"sqlite:///{path}")


def facts_of(path: Path) -> dict[Key, Fact]:
    found = list(read_registry(f"sqlite:///{path}"))
    assert not [one for one in found if isinstance(one, BadInput)]
    return {one.key: one for one in found if isinstance(one, Fact)}


def test_a_registry_is_read_with_the_runs_behind_its_versions(database: Path) -> None:
    from mlflow.entities import Dataset, DatasetInput

    client = client_of(database)
    experiment = client.create_experiment("x", artifact_location=str(database.parent))
    run = client.create_run(experiment, tags={"mlflow.user": "ana"}).info.run_id
    client.log_metric(run, "auc", 0.91)
    client.log_metric(run, "loss", nan)
    sources = ('{"delta_table_name": "main.Sales.Orders"}', '{"uri": "s3://lake/raw/x"}', "no JSON", "{}")
    datasets = [Dataset(name=source, digest="1", source_type="t", source=source) for source in sources]
    client.log_inputs(run, [DatasetInput(dataset, []) for dataset in datasets])
    client.create_registered_model("churn", description="Who will leave", tags={"team": "growth"})
    client.create_model_version("churn", "s3://models/churn/1", run_id=run, tags={"q": ""})
    client.create_model_version("churn", "s3://models/churn/2")
    client.transition_model_version_stage("churn", "1", "Production")
    client.set_registered_model_alias("churn", "champion", "2")
    facts = facts_of(database)
    assert set(facts) == {
        ("model", "churn", 0, ""),
        ("tag", "churn", 0, "team"),
        ("alias", "churn", 0, "champion"),
        ("version", "churn", 1, ""),
        ("version", "churn", 2, ""),
        ("stage", "churn", 1, ""),
        ("tag", "churn", 1, "q"),
    }
    assert facts["model", "churn", 0, ""].event == ModelRegistered(
        model="churn", actor_id="mlflow", description="Who will leave"
    )
    assert facts["version", "churn", 1, ""].event == ModelVersionCreated(
        model="churn",
        version=1,
        actor_id="ana",
        source_uri="s3://models/churn/1",
        run_id=run,
        metrics={"auc": 0.91},
        trained_on=("urn:dataset:s3://lake/raw/x", "urn:table:sales.orders"),
    )
    tag = facts["tag", "churn", 1, "q"].event
    assert isinstance(tag, ModelTagSet)
    assert tag.value == EMPTY
    assert facts["stage", "churn", 1, ""].value == "production"
    created = client.get_registered_model("churn").creation_timestamp
    assert facts["model", "churn", 0, ""].own_us == created * 1000


def test_more_than_a_page_is_read_and_what_no_event_holds_is_named(database: Path) -> None:
    client = client_of(database)
    for number in range(101):
        client.create_registered_model(f"m{number:03}")
    client.create_registered_model("n" * 256)
    client.set_registered_model_tag("m000", "k", "v" * 300)
    facts = facts_of(database)
    assert sum(key[0] == "model" for key in facts) == 102
    tag = facts["tag", "m000", 0, "k"].event
    assert isinstance(tag, ModelTagSet)
    assert len(tag.value) == 256


def test_a_version_whose_run_is_gone_is_read_without_it(database: Path) -> None:
    client = client_of(database)
    client.create_registered_model("churn")
    client.create_model_version("churn", "s3://m", run_id="0" * 32)
    event = facts_of(database)["version", "churn", 1, ""].event
    assert isinstance(event, ModelVersionCreated)
    assert event.metrics == {}


def test_reading_changes_nothing(database: Path) -> None:
    client_of(database).create_registered_model("churn")
    before = database.read_bytes()
    facts_of(database)
    assert database.read_bytes() == before


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("sqlite:///{}/absent.db", "no such file"),
        ("sqlite:///{}/other.db", "no MLflow registry in it"),
        ("duckdb:///{}/x", "no MLflow registry|keeps no registry"),
        ("{}/mlruns", "is no MLflow registry"),
    ],
)
def test_what_is_no_registry_is_refused_and_left_alone(tmp_path: Path, uri: str, said: str) -> None:
    (tmp_path / "other.db").touch()
    with pytest.raises(InvalidInput, match=said):
        list(read_registry(uri.format(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["other.db"]
    assert (tmp_path / "other.db").stat().st_size == 0
