"""`trunkline import mlflow`: a real registry, a broker, and the catalog at the other end."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.events.model import TOPIC
from trunkline.cli._mlflow import ENVIRONMENT
from trunkline.client.config import ConnectionOptions
from trunkline.client.reader import TopicReader
from trunkline.codec import decode
from trunkline.services.catalog import known, models
from trunkline.testing.catalog_desk import Catalog, opened

pytest.importorskip("mlflow")
# MLflow and what it depends on warn of themselves.
pytestmark = pytest.mark.filterwarnings("ignore")

TENANT = "acme"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of a new MLflow registry, whose database is at `uri`."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    client = MlflowClient(tracking_uri=uri(tmp_path), registry_uri=uri(tmp_path))
    client.create_registered_model("churn")
    client.create_model_version("churn", "s3://models/churn/1")
    client.create_model_version("churn", "s3://models/churn/2")
    client.set_registered_model_alias("churn", "champion", "1")
    client.set_model_version_tag("churn", "1", "reviewed", "yes")
    return client


def uri(directory: Path) -> str:
    return f"sqlite:///{directory / 'mlflow.db'}"


def test_an_import_adds_what_has_changed_and_the_catalog_has_the_registry(
    registry: Any, fresh_cluster: str, trunkline: Callable[..., Any], tmp_path: Path
) -> None:
    def imported(*more: str) -> tuple[int, int]:
        ran = trunkline(
            *("import", "mlflow", uri(tmp_path), "--tenant", TENANT, "--data-dir", str(tmp_path)),
            *("-b", fresh_cluster, "--json", *more),
        )
        assert ran.code == 0, ran.err
        summary = ran.json()
        assert summary["failed"] == summary["bad"] == 0
        return summary["published"], summary["acknowledged"]

    assert imported() == (5, 5)
    assert imported() == (0, 0)
    registry.set_registered_model_alias("churn", "champion", "2")
    registry.delete_model_version_tag("churn", "1", "reviewed")
    assert imported() == (2, 2)
    registry.delete_model_version("churn", "1")
    registry.set_registered_model_alias("churn", "champion", "2")
    assert imported() == (1, 1)
    # Without its state an import says all that is there once more, and that changes nothing.
    state = tmp_path / "imports" / "mlflow-acme-mlflow.json"
    state.unlink()
    assert imported() == (3, 3)

    with opened(f"sqlite:///{tmp_path / 'catalog.db'}") as catalog:
        assert consume(fresh_cluster, catalog) == 11
        with catalog.read() as tx:
            alias = models.resolve(tx, TENANT, "churn@champion")
            assert (alias.version, alias.pending) == (2, False)
            assert [one.version for one in models.versions(tx, TENANT, "churn")] == [2]
            gone = known.asset(tx, TENANT, "urn:model_version:churn/1")
            assert gone is not None
            assert gone.state == "deleted"


def test_another_registry_is_not_taken_for_an_empty_one(
    registry: Any, fresh_cluster: str, trunkline: Callable[..., Any], tmp_path: Path
) -> None:
    place = ("--tenant", "globex", "-b", fresh_cluster, "--data-dir", str(tmp_path))
    arguments = ("import", "mlflow", uri(tmp_path), *place)
    assert trunkline(*arguments).code == 0
    registry.delete_registered_model("churn")
    registry.create_registered_model("fraud")
    refused = trunkline(*arguments)
    assert refused.code == 2
    assert "no model of the last import is left" in refused.err
    assert trunkline(*arguments, "--all-gone", "--json").json()["published"] == 4


def test_a_state_that_is_none_is_said_to_be_so(
    fresh_cluster: str, trunkline: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "imports").mkdir()
    (tmp_path / "imports" / "mlflow-acme-mlflow.json").write_text("[")
    arguments = ("import", "mlflow", uri(tmp_path), "--tenant", TENANT, "-b", fresh_cluster)
    refused = trunkline(*arguments, "--data-dir", str(tmp_path))
    assert refused.code == 2
    assert "not the state of an import" in refused.err


def consume(address: str, catalog: Catalog) -> int:
    """Give the catalog the tenant's events, the newest first; how many records there were, twice or not."""
    with TopicReader(ConnectionOptions(bootstrap_servers=address), TOPIC) as reader:
        events = [decode(record) for record in reader.existing()]
    mine = [event for event in events if event.tenantid == TENANT]
    distinct = {event.id: event for event in reversed(mine)}
    catalog.take_in_batches(list(distinct.values()), 3)
    return len(mine)
