"""A tenant's end, through running services: everybody erases, everybody answers, audit has it on record."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.cli.main import run
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.testing.consuming import eventually
from trunkline.testing.inprocess import BrokerThread
from trunkline.testing.serving import serving, setup_of

SERVICES = ("tenant-service", "iam-service", "ai-service", "audit-service")


@pytest.fixture
def cluster() -> Iterator[ConnectionOptions]:
    with BrokerThread() as broker:
        connection = ConnectionOptions(bootstrap_servers=broker.address)
        ensure_topics(connection, load_catalogue(None), "development")
        yield connection


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs a command on the data of the test, and returns its JSON."""

    def call(*arguments: str, data_dir: Path = tmp_path, code: int = 0) -> Any:
        capsys.readouterr()
        assert run([*arguments, "--json", "--data-dir", str(data_dir)]) == code
        # Among the log lines of the services, which run in this process, too.
        (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith(("{", "[")))
        return json.loads(line)

    return call


@pytest.mark.timeout(180)
def test_every_service_erases_and_answers_and_a_new_store_learns_nothing(
    cluster: ConnectionOptions, ask: Callable[..., Any], tmp_path: Path
) -> None:
    def entries(*conditions: str, data_dir: Path = tmp_path) -> list[Any]:
        page = ask("audit", "search", *conditions, data_dir=data_dir)
        found: list[Any] = page["entries"]
        return found

    with ExitStack() as running:
        for name in SERVICES:
            running.enter_context(serving(setup_of(name, tmp_path, cluster)))
        ask("tenant", "create", "acme", "--tier", "starter", "--region", "eu", "--admin-email", "ada@acme.eu")
        ask("tenant", "activate", "acme")
        ask("agent", "start", "r-1", "--tenant", "acme", "--agent", "analyst", "--user", "u-17")
        ask("iam", "grant", "u-17", "query.execute", "urn:schema:sales", "--tenant", "acme")
        ask("agent", "start", "r-1", "--tenant", "globex", "--agent", "analyst", "--user", "u-1")
        eventually(lambda: len(entries("--tenant", "acme")) == 4)
        assert entries("--text", "ada*")
        ask("tenant", "schedule-deletion", "acme")
        ask("tenant", "delete", "acme", "--now")

        def answered() -> set[str]:
            (deletion,) = ask("tenant", "receipts", "acme") or [{"receipts": []}]
            return {receipt["service"] for receipt in deletion["receipts"]}

        eventually(lambda: answered() == set(SERVICES), seconds=60)
        eventually(lambda: len(entries("--type", "access.erasure_completed.v1")) == len(SERVICES))
    (deletion,) = ask("tenant", "receipts", "acme")
    assert "billing-service" in deletion["missing"]
    of_service = {receipt["service"]: receipt for receipt in deletion["receipts"]}
    assert of_service["tenant-service"]["keys_destroyed"] == 1
    assert of_service["ai-service"]["rows"]["agent_run"] == 1
    assert of_service["iam-service"]["rows"]["iam_permission"] == 1
    told = {
        entry["data"]["service"]: entry["data"]
        for entry in entries("--resource", "acme", "--tenant", "system")
        if entry["type"] == "access.erasure_completed.v1"
    }
    assert {name: data["digest"] for name, data in told.items()} == {
        name: receipt["digest"] for name, receipt in of_service.items()
    }
    assert all(entry["erased"] for entry in entries("--tenant", "acme") if entry["type"] != "audit.erased")
    assert entries("--text", "ada*") == []
    assert not any(entry["erased"] for entry in entries("--tenant", "globex"))
    assert ask("audit", "verify")["ok"]
    assert ask("tenant", "show", "acme")["admin_email"] is None
    assert ask("agent", "list", "--tenant", "acme") == []

    anew = tmp_path / "anew"
    with serving(setup_of("audit-service", anew, cluster)):
        eventually(lambda: len(entries("--tenant", "acme", data_dir=anew)) >= 5)
        eventually(lambda: len(entries("--tenant", "globex", data_dir=anew)) == 1)
        assert all(
            entry["erased"]
            for entry in entries("--tenant", "acme", data_dir=anew)
            if entry["type"] != "audit.erased"
        )
        assert entries("--text", "ada*", data_dir=anew) == []


def test_a_suspended_tenant_is_still_there(
    cluster: ConnectionOptions, ask: Callable[..., Any], tmp_path: Path
) -> None:
    with ExitStack() as running:
        for name in ("tenant-service", "ai-service"):
            running.enter_context(serving(setup_of(name, tmp_path, cluster)))
        ask("tenant", "create", "acme", "--tier", "starter", "--region", "eu")
        ask("tenant", "activate", "acme")
        ask("tenant", "suspend", "acme", "--reason", "payment_overdue")
        ask("agent", "start", "r-1", "--tenant", "acme", "--agent", "analyst", "--user", "u-17")
    assert ask("tenant", "show", "acme")["tenant"]["state"] == "suspended"
    assert len(ask("agent", "list", "--tenant", "acme")) == 1
