"""A service's failure ledger, as several commands open it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from trunkline.client.store import Store

ServiceName = Annotated[str, typer.Option("--service", "-s", help="Whose ledger.")]
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The service's database, if not in DIR.")
]
DEFAULT_SERVICE: Final = "audit-service"


@contextmanager
def opened(service: str, data_dir: Path, store: str | None) -> Iterator["Store"]:
    """The service's store, which must exist: a ledger that is not there is a wrong path, not an empty one."""
    from trunkline.client.store import migrate, open_store

    store = store or _common.service_store_url(data_dir, service)
    path = Path(store.removeprefix("sqlite:///"))
    if store.startswith("sqlite:///") and not path.exists():
        raise InvalidInput(f"{service} has no store at {path}; give its --data-dir or --store")
    found = open_store(store)
    try:
        migrate(found)
        yield found
    finally:
        found.close()


def shown_time(unix_ms: int) -> str:
    moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
