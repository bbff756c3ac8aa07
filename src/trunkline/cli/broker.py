"""`trunkline broker`: the embedded Kafka broker alone."""

import asyncio
import gc
import logging
import resource
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from trunkline.broker.broker import Settings
from trunkline.broker.log.fs import FsError, OsFs
from trunkline.broker.node import Address, Running, running
from trunkline.cli._common import DEFAULT_DATA_DIR, AsJson, new_app, note, print_json
from trunkline.errors import InvalidInput, Unavailable

app = new_app("Run the embedded Kafka broker alone.")

EVERYWHERE: Final = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not listened on
"""Addresses to listen on that nobody can connect to."""


class Durability(StrEnum):
    """When a write counts."""

    FSYNC = "fsync"
    OS = "os"


class LogLevel(StrEnum):
    """What is worth a line on standard error."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@app.command()
def broker(  # noqa: PLR0917 - typer calls it, by name
    data_dir: Annotated[
        Path,
        # Not TRUNKLINE_DATA_DIR: that is the directory of a whole machine, which holds this one.
        typer.Option(
            "--data-dir", envvar="TRUNKLINE_BROKER_DATA_DIR", metavar="DIR", help="The broker's own data."
        ),
    ] = DEFAULT_DATA_DIR / "broker",
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 9092,
    advertised: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where clients shall connect, when that is another address."),
    ] = None,
    durability: Annotated[
        Durability,
        typer.Option(help="Acknowledge when the disk has it (fsync) or when the system has it (os)."),
    ] = Durability.FSYNC,
    auto_create_topics: Annotated[
        bool, typer.Option("--auto-create-topics", help="Create a topic when a client asks for it.")
    ] = False,
    default_partitions: Annotated[
        int, typer.Option(min=1, max=10_000, help="Partitions of a topic created without a number.")
    ] = 3,
    log_level: Annotated[LogLevel, typer.Option(help="The least that is logged.")] = LogLevel.WARNING,
    as_json: AsJson = False,
) -> None:
    """Run the embedded Kafka broker until it is stopped (Ctrl-C or SIGTERM).

    Any Kafka client can use it. One line says when clients can connect;
    what recovery found after a crash goes to standard error.

    Example: [bold]trunkline broker --data-dir ./kafka --port 9092[/bold]
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    settings = Settings(
        data_dir=data_dir,
        durability=durability.value,
        auto_create_topics=auto_create_topics,
        default_partitions=default_partitions,
    )
    if advertised is None and host in EVERYWHERE:
        raise InvalidInput(f"--host {host} needs --advertised HOST:PORT: the address that clients can reach")
    told = None if advertised is None else _address(advertised)
    _raise_file_limit()
    try:
        asyncio.run(_serve(settings, Address(host, port), told, as_json=as_json))
    except FsError as error:
        raise Unavailable(f"the data directory {data_dir} cannot be used: {error}") from error


async def _serve(settings: Settings, listen: Address, advertised: Address | None, *, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(OsFs(), settings, listen=listen, advertised=advertised) as node:
        for finding in node.broker.findings:
            note(f"warning: {finding}")
        _announce(node, settings.data_dir, as_json=as_json)
        # What a start leaves behind is never garbage: the collector need not look at it again.
        gc.freeze()
        await stop.wait()


def _announce(node: Running, data_dir: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "host": node.listening.host,
                "port": node.listening.port,
                "cluster_id": node.broker.cluster_id,
                "data_dir": str(data_dir),
                "findings": node.broker.findings,
            }
        )
    else:
        typer.echo(f"broker ready at {node.listening} (cluster {node.broker.cluster_id}, data {data_dir})")


def _raise_file_limit() -> None:
    """Every partition and every connection holds an open file; the usual soft limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= 65535:
        raise InvalidInput(f"--advertised {text}: write it as HOST:PORT, for instance kafka.example.org:9092")
    return Address(host, int(port))
