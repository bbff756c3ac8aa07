"""The service's own database and its key ring: there, reachable, of this version. Creates nothing."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from stat import S_IRWXG, S_IRWXO
from typing import Final

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from trunkline.catalogue.model import Catalogue
from trunkline.client.outbox import OUTBOX
from trunkline.client.store import CONSUMER_STATE, Component, open_store
from trunkline.client.store.standing import Standing, standing
from trunkline.errors import TrunklineError
from trunkline.operate.doctor.findings import Family, Finding, counted, failed, ok, warning
from trunkline.services import runnable
from trunkline.services.kit.ending import ENDING
from trunkline.services.kit.keys import KEY_BYTES, KEY_RING

STORE: Final = Family.STORE


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Where a service keeps its state and its tenants' keys, and the key that wraps those."""

    store_url: str
    keys_url: str
    master_key: Path


def examine(stores: Stores, catalogue: Catalogue, service: str) -> Iterator[Finding]:
    """The store, the key ring, the master key."""
    yield _database("store", stores.store_url, _components(catalogue, service))
    yield _database("key ring", stores.keys_url, (KEY_RING,))
    yield _master(stores.master_key)


def _components(catalogue: Catalogue, service: str) -> tuple[Component, ...]:
    """What `trunkline service` migrates before it starts."""
    outbox = (OUTBOX,) if catalogue.published_by(service) else ()
    return (CONSUMER_STATE, *outbox, ENDING, *runnable(service).components)


def _database(title: str, url: str, components: tuple[Component, ...]) -> Finding:
    missing = _missing_file(url)
    if missing is not None:
        return warning(
            STORE,
            title,
            f"there is no file {missing}",
            "the service makes it at its first start; otherwise correct --store, --keys or --data-dir",
        )
    try:
        with closing(open_store(url)) as store:
            about = f"{title} {store.url}"
            found = [standing(store, component) for component in components]
    except TrunklineError as error:
        return failed(STORE, title, str(error))
    return _judged(about, found)


def _judged(about: str, found: list[Standing]) -> Finding:
    """One line about a database that answers."""
    if newer := [one for one in found if not one.known]:
        names = ", ".join(f"{one.component} {one.current}" for one in newer)
        return failed(STORE, about, f"was written by a newer version ({names})", "upgrade Trunkline")
    if older := [one for one in found if not one.is_newest]:
        names = ", ".join(f"{one.component} {one.current or 'absent'} of {one.newest}" for one in older)
        return warning(
            STORE, about, f"is not of this version yet ({names})", "the service migrates it at start"
        )
    return ok(STORE, about, f"answers, and {counted(len(found), 'part')} of it are of this version")


def _missing_file(url: str) -> Path | None:
    """The file of a SQLite database that is not there; opening it would make it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None
    if parsed.get_backend_name() != "sqlite" or not parsed.database or Path(parsed.database).exists():
        return None
    return Path(parsed.database)


def _master(path: Path) -> Finding:
    about = f"master key {path}"
    try:
        size = len(path.read_bytes())
        others = path.stat().st_mode & (S_IRWXG | S_IRWXO)
    except FileNotFoundError:
        return warning(STORE, about, "there is no such file", "the service makes it at its first start")
    except OSError as error:
        return failed(STORE, about, str(error.strerror), "let the service's user read it")
    if size != KEY_BYTES:
        return failed(STORE, about, f"{size} bytes instead of {KEY_BYTES}", "restore it from a backup")
    if others:
        return warning(STORE, about, "others than its owner may use it", f"chmod 600 {path}")
    return ok(STORE, about, "readable for its owner alone")
