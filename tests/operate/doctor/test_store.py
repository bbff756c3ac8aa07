"""The service's database and keys: looked at, never made."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from trunkline.catalogue.load import load_catalogue
from trunkline.client.config import ConnectionOptions, ConsumerOptions
from trunkline.client.store import migrate, open_store
from trunkline.operate.doctor.findings import Finding, Verdict
from trunkline.operate.doctor.store import Stores, _components, examine
from trunkline.services import RUNNABLE, runnable
from trunkline.services.kit.keys import KeyRing
from trunkline.services.running import ServiceProcess, Setup

CATALOGUE = load_catalogue()
NAME = "audit-service"


def stores(directory: Path) -> Stores:
    return Stores(
        store_url=f"sqlite:///{directory / 'services' / 'store.db'}",
        keys_url=f"sqlite:///{directory / 'keys' / 'keys.db'}",
        master_key=directory / "keys" / "master.key",
    )


def examined(directory: Path) -> list[Finding]:
    return list(examine(stores(directory), CATALOGUE, NAME))


def made(directory: Path, service: str = NAME) -> None:
    """As the service itself makes them."""
    where = stores(directory)
    setup = Setup(
        name=service,
        instance="one",
        runnable=runnable(service),
        catalogue=CATALOGUE,
        environment=CATALOGUE.environment("development"),
        connection=ConnectionOptions(bootstrap_servers="127.0.0.1:1"),
        store_url=where.store_url,
        data_dir=directory,
        keys_url=where.keys_url,
        master_key=where.master_key,
        kept_config=directory / "config.json",
        options=ConsumerOptions(group=service),
    )
    with ServiceProcess(setup):
        pass


def test_nothing_is_made_where_nothing_is(tmp_path: Path) -> None:
    assert [one.verdict for one in examined(tmp_path)] == [Verdict.WARNING] * 3
    assert list(tmp_path.iterdir()) == []


def test_what_the_service_has_made_is_ok(tmp_path: Path) -> None:
    made(tmp_path)
    assert [one.verdict for one in examined(tmp_path)] == [Verdict.OK] * 3


@pytest.mark.parametrize("service", sorted(RUNNABLE))
def test_the_doctor_looks_at_every_part_that_a_service_migrates(tmp_path: Path, service: str) -> None:
    made(tmp_path, service)
    with closing(open_store(stores(tmp_path).store_url)) as store, store.read() as tx:
        tables = tx.execute(text("SELECT name FROM sqlite_master WHERE name LIKE '%_schema_version'"))
        found = {str(name) for (name,) in tables}
    assert {one.version_table for one in _components(CATALOGUE, service)} == found


def test_an_older_store_is_a_warning(tmp_path: Path) -> None:
    where = stores(tmp_path)
    with closing(open_store(where.store_url)) as store:
        migrate(store)
    found = examined(tmp_path)[0]
    assert found.verdict is Verdict.WARNING
    assert "absent of" in found.text


def test_a_store_of_a_newer_version_fails(tmp_path: Path) -> None:
    made(tmp_path)
    with closing(open_store(stores(tmp_path).store_url)) as store, store.write() as tx:
        tx.execute(text("UPDATE consumer_schema_version SET version_num = 'later'"))
    found = examined(tmp_path)[0]
    assert found.verdict is Verdict.FAILED
    assert found.remedy == "upgrade Trunkline"


def test_something_else_in_its_place_fails(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "store.db").write_bytes(b"no database" * 100)
    assert examined(tmp_path)[0].verdict is Verdict.FAILED


def test_a_database_server_that_is_away_fails_within_seconds(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    where = Stores(
        store_url="postgresql://audit:geheim@127.0.0.1:1/audit",
        keys_url=stores(tmp_path).keys_url,
        master_key=stores(tmp_path).master_key,
    )
    found = next(iter(examine(where, CATALOGUE, NAME)))
    assert found.verdict is Verdict.FAILED
    assert "geheim" not in found.sentence


@pytest.mark.parametrize("url", ["postgres://svc:s3cret@h/db", "postgresql://svc:s3cret@h:port/db"])
def test_an_impossible_url_is_a_finding_without_its_password(tmp_path: Path, url: str) -> None:
    where = replace(stores(tmp_path), store_url=url)
    found = next(iter(examine(where, CATALOGUE, NAME)))
    assert found.verdict is Verdict.FAILED
    assert "not a database URL" in found.sentence
    assert "s3cret" not in found.sentence


def test_a_master_key_is_held_to_its_size_and_mode(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")):
        KeyRing.open(stores(tmp_path).keys_url, stores(tmp_path).master_key).close()
    key = stores(tmp_path).master_key
    assert examined(tmp_path)[2].verdict is Verdict.OK
    key.chmod(0o644)
    assert examined(tmp_path)[2].verdict is Verdict.WARNING
    key.chmod(0o600)
    key.write_bytes(b"short")
    assert "5 bytes instead of 32" in examined(tmp_path)[2].text
