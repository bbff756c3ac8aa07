"""One benchmark run: the chosen parts one after the other, each interleaved with its peer."""

import os
import platform
import tempfile
import time
from collections.abc import Callable, Collection
from enum import StrEnum
from pathlib import Path
from typing import Final

from trunkline import __version__
from trunkline.testing.bench import broadcast, client, engine, micro, outbox, peers, plain, raw
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
    PEERS = "peers"
    PLAIN = "plain"


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
        if Part.BROADCAST in parts:
            figures += broadcast.measure(directory / "broadcast", rounds=rounds, say=say)
            notes += broadcast.NOTES
        if Part.OUTBOX in parts:
            figures += outbox.measure(directory / "outbox", rounds=rounds, say=say)
            notes += outbox.NOTES
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
