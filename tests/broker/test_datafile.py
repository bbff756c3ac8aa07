"""A small file is read whole or refused with a reason."""

from pathlib import Path

import msgspec
import pytest

from trunkline.broker.datafile import FORMAT_VERSION, load, store
from trunkline.broker.log.memory_fs import MemoryFs
from trunkline.errors import InvalidInput

FILE = Path("/data/some.json")


class Content(msgspec.Struct):
    format: int
    name: str


def empty() -> MemoryFs:
    fs = MemoryFs()
    fs.mkdir(FILE.parent)
    return fs


def test_what_was_stored_survives_a_crash() -> None:
    fs = empty()
    assert load(fs, FILE, Content) is None
    store(fs, FILE, Content(FORMAT_VERSION, "kept"))
    fs.crash()
    assert load(fs, FILE, Content) == Content(FORMAT_VERSION, "kept")


def test_another_format_is_refused_before_its_content_is_looked_at() -> None:
    fs = empty()
    fs.open(FILE).append(b'{"format": 2, "nome": 1}')
    with pytest.raises(InvalidInput, match=f"has format 2, not {FORMAT_VERSION}"):
        load(fs, FILE, Content)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}'])
def test_what_is_no_such_file_is_refused_with_its_name(content: bytes) -> None:
    fs = empty()
    fs.open(FILE).append(content)
    with pytest.raises(InvalidInput, match=str(FILE)):
        load(fs, FILE, Content)
