"""One benchmark run: the chosen parts one after the other, each interleaved with its peer."""

import os
import platform
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from trunkline import __version__
from trunkline.testing.bench import (
    audit,
    billing,
    broadcast,
    catalog,
    client,
    config,
    engine,
    governance,
    micro,
    notification,
    outbox,
    peers,
    plain,
    quality,
    query,
    raw,
)
from trunkline.testing.bench.figures import Figure, Report

ROUNDS: Final = 3
"""Odd, so that a median is a measured value."""


class Part(StrEnum):
    """What can be measured on its own."""

    CODEC = "codec"
    BROKER = "broker"
    CLIENT = "client"
    BROADCAST = "broadcast"
    OUTBOX = "outbox"
    AUDIT = "audit"
    BILLING = "billing"
    NOTIFICATION = "notification"
    CONFIG = "config"
    GOVERNANCE = "governance"
    QUERY = "query"
    QUALITY = "quality"
    CATALOG = "catalog"
    PEERS = "peers"
    PLAIN = "plain"


class Measured(Protocol):
    """A module whose loads are as long as they are, and are repeated."""

    @property
    def NOTES(self) -> tuple[str, ...]:  # noqa: N802 - a module's constant
        """How it was measured."""

    @property
    def measure(self) -> "Measure":
        """The figures, in a directory of its own."""


class Measure(Protocol):
    """Measures so many times over."""

    def __call__(self, directory: Path, *, rounds: int, say: Callable[[str], None]) -> list[Figure]: ...


ROUND_BY_ROUND: Final[Mapping[Part, Measured]] = {
    Part.BROADCAST: broadcast,
    Part.OUTBOX: outbox,
    Part.AUDIT: audit,
    Part.BILLING: billing,
    Part.NOTIFICATION: notification,
    Part.CONFIG: config,
    Part.GOVERNANCE: governance,
    Part.QUERY: query,
    Part.QUALITY: quality,
    Part.CATALOG: catalog,
}


def run(
    parts: Collection[Part], *, seconds: float, rounds: int = ROUNDS, say: Callable[[str], None]
) -> Report:
    """Measure; every load lasts `seconds`, and `say` hears about the progress.

    Uses a temporary directory and processes of its own, and leaves neither behind. Raises `LoadFailed` or
    `ProcessFailed` when there is nothing to measure.
    """
    load_average = os.getloadavg()[0]
    started = time.monotonic()
    figures: list[Figure] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as folder:
        directory = Path(folder)
        if Part.CODEC in parts:
            say("codec")
            figures += micro.measure()
        if Part.BROKER in parts:
            figures += engine.measure(directory / "engine", seconds=seconds, rounds=rounds, say=say)
            notes += engine.NOTES
        if Part.CLIENT in parts:
            figures += client.measure(directory / "client", seconds=seconds, rounds=rounds, say=say)
            notes += client.NOTES
        for part, measured in ROUND_BY_ROUND.items():
            if part in parts:
                figures += measured.measure(directory / part, rounds=rounds, say=say)
                notes += measured.NOTES
        if Part.PEERS in parts:
            figures += peers.measure(directory / "peers", seconds=seconds, rounds=rounds, say=say)
            notes += peers.NOTES
        if Part.PLAIN in parts:
            figures += plain.measure(directory / "plain", rounds=rounds, say=say)
            notes += plain.NOTES
    return Report(
        trunkline=__version__,
        python=platform.python_version(),
        librdkafka=raw.LIBRDKAFKA,
        processors=os.cpu_count() or 1,
        load_average=round(load_average, 2),
        seconds_per_load=seconds,
        took_seconds=round(time.monotonic() - started, 1),
        figures=tuple(figures),
        notes=tuple(notes),
    )
