"""Who a data directory is: its cluster id, and the producer ids it has handed out (broker.json)."""

import base64
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from trunkline.broker.datafile import FORMAT_VERSION, load, store
from trunkline.broker.log.fs import Fs

PRODUCER_ID_BLOCK: Final = 1000
"""Ids reserved by one write (as in Kafka); a crash wastes at most so many of 2^63."""


class _Stored(msgspec.Struct):
    format: int
    cluster_id: str
    next_producer_id: int
    """The first one that was not reserved."""


class Identity:
    """The identity of one data directory."""

    def __init__(self, fs: Fs, path: Path, *, new_id: Callable[[], uuid.UUID]) -> None:
        """Read the file, or create it. Raises `InvalidInput` and `FsError`."""
        self._fs = fs
        self._path = path
        known = load(fs, path, _Stored)
        self._stored = known or _Stored(FORMAT_VERSION, _cluster_id(new_id()), 0)
        self._next_producer_id = self._stored.next_producer_id
        if known is None:
            store(fs, path, self._stored)

    @property
    def cluster_id(self) -> str:
        """As clients see it."""
        return self._stored.cluster_id

    def allocate_producer_id(self) -> int:
        """A producer id that was never handed out before, across restarts. Raises `FsError`."""
        producer_id = self._next_producer_id
        if producer_id == self._stored.next_producer_id:
            reserved = msgspec.structs.replace(self._stored, next_producer_id=producer_id + PRODUCER_ID_BLOCK)
            store(self._fs, self._path, reserved)
            self._stored = reserved
        self._next_producer_id += 1
        return producer_id


def _cluster_id(value: uuid.UUID) -> str:
    """As Kafka writes it: 16 bytes in URL-safe base 64 without padding."""
    return base64.urlsafe_b64encode(value.bytes).rstrip(b"=").decode("ascii")
