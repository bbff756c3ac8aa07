"""The index finds what a walk finds, and its files are a cache in Kafka's format."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.broker.log.index import INDEX_INTERVAL_BYTES, SegmentIndex, last_timestamp_ms
from trunkline.broker.log.memory_fs import MemoryFs

PATH = Path("/data/t-0/00000000000000000000.log")

Batches = list[tuple[int, int, int]]
"""(records, bytes, max timestamp) of each batch."""

batches = st.lists(
    st.tuples(st.integers(1, 50), st.integers(62, 3 * INDEX_INTERVAL_BYTES), st.integers(-1, 10_000)),
    max_size=40,
)


def indexed(layout: Batches) -> tuple[SegmentIndex, list[tuple[int, int, int]]]:
    """The index of such a segment, and (first offset, position, timestamp) of its batches."""
    index, places = SegmentIndex(), []
    offset = position = 0
    for records, size, timestamp in layout:
        index.add(last_offset=offset + records - 1, position=position, max_timestamp_ms=timestamp)
        places.append((offset, position, timestamp))
        offset += records
        position += size
    return index, places


def saved_and_loaded(index: SegmentIndex) -> tuple[MemoryFs, SegmentIndex | None]:
    fs = MemoryFs()
    fs.mkdir(PATH.parent)
    index.persist(fs, PATH)
    return fs, SegmentIndex.load(fs, PATH, size=2**31 - 1)


@given(batches)
def test_a_lookup_never_leads_past_what_is_looked_for(layout: Batches) -> None:
    index, places = indexed(layout)
    for offset, position, timestamp in places:
        assert index.position_for_offset(offset) <= position
        assert position - INDEX_INTERVAL_BYTES * 4 < index.position_before(position) <= position
        first = next(known for known in places if known[2] >= timestamp)
        assert index.offset_before_time(timestamp) <= first[0]


@given(batches)
def test_what_was_saved_is_what_is_loaded(layout: Batches) -> None:
    index, places = indexed(layout)
    _, loaded = saved_and_loaded(index)
    assert loaded is not None
    for offset, position, timestamp in places:
        assert loaded.position_for_offset(offset) == index.position_for_offset(offset)
        assert loaded.position_before(position) == index.position_before(position)
        assert loaded.offset_before_time(timestamp) == index.offset_before_time(timestamp)


def test_the_files_have_kafkas_format_and_grow_by_appending() -> None:
    fs = MemoryFs()
    fs.mkdir(PATH.parent)
    index = SegmentIndex()
    index.add(last_offset=4, position=0, max_timestamp_ms=1000)
    index.add(last_offset=9, position=5000, max_timestamp_ms=3000)
    index.persist(fs, PATH)
    index.persist(fs, PATH)
    index.add(last_offset=11, position=9000, max_timestamp_ms=2000)
    index.add(last_offset=15, position=14000, max_timestamp_ms=4000)
    index.add_time()
    index.persist(fs, PATH)
    assert fs.read(PATH.with_suffix(".index")) == struct.pack(">IIII", 9, 5000, 15, 14000)
    assert fs.read(PATH.with_suffix(".timeindex")) == struct.pack(">qIqI", 3000, 9, 4000, 15)
    assert last_timestamp_ms(fs, PATH) == 4000


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".index", b"\0" * 7),
        (".index", struct.pack(">IIII", 5, 100, 5, 200)),
        (".index", struct.pack(">II", 5, 2**31)),
        (".index", struct.pack(">IIII", 5, 200, 9, 100)),
        (".timeindex", b"\0" * 13),
        (".timeindex", struct.pack(">qIqI", 5, 1, 4, 2)),
    ],
)
def test_files_that_cannot_be_right_are_not_used(suffix: str, content: bytes) -> None:
    fs, loaded = saved_and_loaded(SegmentIndex())
    assert loaded is not None
    fs.open(PATH.with_suffix(suffix)).append(content)
    assert SegmentIndex.load(fs, PATH, size=1000) is None


def test_no_files_are_no_index() -> None:
    assert SegmentIndex.load(MemoryFs(), PATH, size=1000) is None
    assert last_timestamp_ms(MemoryFs(), PATH) is None
