"""Options, output and signal handling that the commands share. Only `cli` reads environment variables."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

if TYPE_CHECKING:
    from rich.console import Console

    from trunkline.catalogue.model import Catalogue

DEFAULT_BOOTSTRAP: Final = "127.0.0.1:9092"
"""Where `trunkline up` and `trunkline broker` listen unless told otherwise."""

SIGNAL_LOOK_SECONDS: Final = 0.5

DEFAULT_DATA_DIR: Final = Path("trunkline-data")

BootstrapServers = Annotated[
    str,
    typer.Option(
        "--bootstrap-servers",
        "-b",
        envvar="TRUNKLINE_BOOTSTRAP_SERVERS",
        metavar="HOST:PORT,…",
        help="The Kafka cluster, or the embedded broker.",
    ),
]
DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="TRUNKLINE_DATA_DIR", metavar="DIR", help="This machine's data."),
]
CatalogueFile = Annotated[
    Path | None,
    typer.Option(
        "--catalogue",
        envvar="TRUNKLINE_CATALOGUE",
        metavar="FILE",
        help="Replaces the built-in catalogue.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


class Engine(StrEnum):
    """What speaks Kafka on this machine."""

    EMBEDDED = "embedded"
    KAFKA = "kafka"


class Sabotage(StrEnum):
    """Damage that a demo does before it balances its books, for its own tests."""

    REPEAT = "repeat"
    LOSE = "lose"
    MISCOUNT = "miscount"


def new_app(help: str, **settings: Any) -> typer.Typer:  # noqa: A002 - typer's own word for it
    """A command module's `app`. A module with one command is that command; one with several is a group."""
    settings.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
    return typer.Typer(help=help, add_completion=False, rich_markup_mode="rich", **settings)


def read_catalogue(path: Path | None) -> "Catalogue":
    from trunkline.catalogue.load import load_catalogue

    return load_catalogue(path)


def service_store_url(data_dir: Path, service: str) -> str:
    """The SQLite store of a service on this machine."""
    return f"sqlite:///{data_dir / 'services' / f'{service}.db'}"


def service_keys_url(data_dir: Path, service: str) -> str:
    """The key ring of a service on this machine: apart from its store, so that they are backed up apart."""
    return f"sqlite:///{data_dir / 'keys' / f'{service}.db'}"


def master_key_path(data_dir: Path) -> Path:
    """The key that wraps all data keys of this machine."""
    return data_dir / "keys" / "master.key"


def kept_config_path(data_dir: Path, service: str) -> Path:
    """The configuration that a service knew last."""
    return data_dir / "services" / f"{service}.config.json"


def token_key_path(data_dir: Path) -> Path:
    """The private key that signs this machine's API tokens."""
    return data_dir / "keys" / "api-tokens.pem"


def print_json(value: object) -> None:
    """One JSON document on one line of standard output."""
    typer.echo(msgspec.json.encode(value).decode())


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 entry`, `2 entries`: the number with its noun; the plural where it is not just an s."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def note(message: str) -> None:
    """A line for the person, on standard error so that standard output stays parseable."""
    typer.echo(message, err=True)


def console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def wait(event: threading.Event) -> None:
    """Wait for an event that a signal handler may set.

    Not for ever at a time: handlers run in this thread between its bytecodes, and a signal that another
    thread has received does not interrupt a wait.
    """
    while not event.wait(SIGNAL_LOOK_SECONDS):
        pass


@contextmanager
def on_stop_signal(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on the first SIGINT or SIGTERM. The handlers before are restored at the end."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
