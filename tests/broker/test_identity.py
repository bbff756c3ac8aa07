"""A data directory keeps its identity, and never gives a producer id twice."""

from pathlib import Path
from uuid import UUID

import pytest

from trunkline.broker.identity import PRODUCER_ID_BLOCK, Identity
from trunkline.broker.log.fs import DiskFull
from trunkline.broker.log.memory_fs import MemoryFs

FILE = Path("/data/broker.json")


def opened(fs: MemoryFs, number: int = 1) -> Identity:
    fs.mkdir(FILE.parent)
    return Identity(fs, FILE, new_id=lambda: UUID(int=number))


def test_the_first_identity_stays() -> None:
    fs = MemoryFs()
    first = opened(fs, 1)
    fs.crash()
    assert opened(fs, 2).cluster_id == first.cluster_id == "AAAAAAAAAAAAAAAAAAAAAQ"


def test_a_crash_wastes_producer_ids_but_repeats_none() -> None:
    fs = MemoryFs()
    given = [opened(fs).allocate_producer_id()]
    for _ in range(3):
        fs.crash()
        identity = opened(fs)
        given += [identity.allocate_producer_id() for _ in range(PRODUCER_ID_BLOCK + 1)]
    assert len(given) == len(set(given))


def test_an_id_that_could_not_be_reserved_is_not_given() -> None:
    fs = MemoryFs()
    identity = opened(fs)
    fs.capacity_bytes = 0
    for _ in range(2):
        with pytest.raises(DiskFull):
            identity.allocate_producer_id()
    fs.capacity_bytes = float("inf")
    assert identity.allocate_producer_id() == 0
