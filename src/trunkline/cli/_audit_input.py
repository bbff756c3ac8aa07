"""What `trunkline audit` reads: the ledger's store, keys, checkpoints, files and times."""

from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

from trunkline.cli import _common
from trunkline.errors import InvalidInput, TrunklineError

if TYPE_CHECKING:
    from trunkline.client.store import Store
    from trunkline.services.audit.note import Verifier

SERVICE: Final = "audit-service"


@contextmanager
def opened_store(data_dir: Path, url: str | None) -> "Iterator[Store]":
    """The audit service's store, which must be there: a query does not create one."""
    from sqlalchemy.exc import DBAPIError

    from trunkline.client.store import open_store
    from trunkline.services.audit.app import checkpoint_files

    url = url or _common.service_store_url(data_dir, SERVICE)
    path = url.removeprefix("sqlite:///")
    if path != url and not Path(path).is_file():
        if signed := checkpoint_files(data_dir).tenants():
            raise TrunklineError(
                f"{path}: the ledger is gone, although {len(signed)} tenants of it have signed checkpoints "
                f"in {data_dir}; restore the database"
            )
        raise InvalidInput(
            f"{path}: no audit ledger there; run `trunkline service {SERVICE}` first, "
            "or give --data-dir or --store"
        )
    with closing(open_store(url)) as store:
        try:
            yield store
        except DBAPIError as error:
            raise TrunklineError(
                f"{store.url}: no audit ledger can be read there ({error.orig}); "
                "is it the audit service's database?"
            ) from error


def read_verifier(data_dir: Path, public_key: Path | None) -> "Verifier":
    from trunkline.services.audit.app import signing_key_path
    from trunkline.services.audit.note import load_verifier, public_key_path

    return load_verifier(public_key or public_key_path(signing_key_path(data_dir)))


def read_notes(paths: list[Path]) -> list[bytes]:
    from trunkline.services.audit.note_file import split_notes

    notes = [note for path in paths for note in split_notes(read_file(path))[0]]
    if not notes:
        raise InvalidInput(f"{paths[0]}: no checkpoint in it")
    return notes


def open_file(path: Path, mode: Literal["rb", "wb"]) -> BinaryIO:
    try:
        return path.open(mode)
    except OSError as error:
        raise InvalidInput(f"{path}: cannot open it ({error.strerror})") from error


def read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path}: cannot read it ({error.strerror})") from error


def require_known(option: str, value: str | None, known: Collection[str]) -> None:
    """Refuses a value that can match nothing, so that a slip is not taken for an empty ledger."""
    from trunkline.catalogue.model import near

    if value is not None and value not in known:
        hint = near(value, known) or f"; known are {', '.join(sorted(known))}"
        raise InvalidInput(f"{option} {value!r}: no entry can have it{hint}")


def entry_types() -> set[str]:
    """The event types of the contract, and those of entries that the service makes itself."""
    from trunkline.catalogue.events import EVENT_TYPES
    from trunkline.services.audit.entry import OWN_TYPES

    return {*EVENT_TYPES, *OWN_TYPES}


def parse_moment(option: str, text: str | None) -> datetime | None:
    """A date or a time in ISO 8601; UTC unless it says otherwise."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"{option} {text!r}: not a date or time; write 2026-01-31 or 2026-01-31T12:00:00Z"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
