"""A service's parts for a command that works on its store, whether or not the service is running."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.cli import _common
from trunkline.errors import InvalidInput, TrunklineError

if TYPE_CHECKING:
    from trunkline.catalogue.model import Catalogue
    from trunkline.client.store import Store
    from trunkline.services.app import Context
    from trunkline.services.kit.settings import FixedSettings


@contextmanager
def offline(
    service: str,
    *,
    data_dir: Path,
    store: str | None = None,
    catalogue: "Catalogue | None" = None,
    create: bool = False,
) -> "Iterator[Context]":
    """The context of a service on its store. Events added to the outbox go out when the service runs.

    With `create` a store that is missing is made, for commands that begin something. Raises `InvalidInput`
    for a store that is not there, and for what a command gives it that no database can hold.
    """
    from trunkline.cli import _ledger
    from trunkline.client.outbox import OUTBOX
    from trunkline.client.store import migrate, open_store
    from trunkline.services import runnable
    from trunkline.services.kit.ending import ENDING

    with _storable(), ExitStack() as opened:
        if create:
            url = store or _common.service_store_url(data_dir, service)
            open_one = opened.enter_context(closing(open_store(url)))
            migrate(open_one)
        else:
            open_one = opened.enter_context(_ledger.opened(service, data_dir, store))
        contract = catalogue or _common.read_catalogue(None)
        if contract.published_by(service):
            migrate(open_one, OUTBOX)
        for component in (ENDING, *runnable(service).components):
            migrate(open_one, component)
        yield opened.enter_context(context_on(open_one, service, data_dir=data_dir, catalogue=contract))


@contextmanager
def _storable() -> Iterator[None]:
    from sqlalchemy.exc import DataError

    try:
        yield
    except (DataError, OverflowError, UnicodeEncodeError) as error:
        # The word of the database, or of Python on the way to it: a number beyond 64 bits, bytes that are no
        # text.
        raise InvalidInput(
            "a value is beyond what can be stored: a number of more than 64 bits, or text that is no UTF-8"
        ) from error


@contextmanager
def context_on(
    store: "Store", service: str, *, data_dir: Path, catalogue: "Catalogue"
) -> "Iterator[Context]":
    """The same on a store that is open and migrated."""
    from trunkline.client.config import ConnectionOptions
    from trunkline.client.outbox import Outbox
    from trunkline.services.app import Context
    from trunkline.services.kit.keys import KeyRing

    url = _common.service_keys_url(data_dir, service)
    with closing(KeyRing.open(url, _common.master_key_path(data_dir))) as keys:
        yield Context(
            service=service,
            instance=f"{socket.gethostname()}-{os.getpid()}",
            store=store,
            data_dir=data_dir,
            catalogue=catalogue,
            environment=catalogue.environment("development"),
            connection=ConnectionOptions(bootstrap_servers=_common.DEFAULT_BOOTSTRAP),
            settings=_kept_settings(data_dir, service),
            keys=keys,
            outbox=Outbox(service=service, catalogue=catalogue) if catalogue.published_by(service) else None,
            wake=_nothing_to_wake,
            on_failure=_raise,
        )


def _kept_settings(data_dir: Path, service: str) -> "FixedSettings":
    """What the service knew of its configuration when it last ran here."""
    from trunkline.client.broadcast.keeping import kept
    from trunkline.client.broadcast.state import State
    from trunkline.services.kit.settings import FixedSettings

    state = State()
    state.restore(kept(_common.kept_config_path(data_dir, service)))
    return FixedSettings(state.view(), service=service)


def _nothing_to_wake() -> None:
    """The relay, if one runs, is in another process and looks by itself."""


def _raise(error: TrunklineError) -> None:
    raise error
