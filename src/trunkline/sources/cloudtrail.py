"""AWS CloudTrail logs: files of `{"Records": [...]}`, plain or gzipped, read in order of time."""

import gzip
import heapq
import zlib
from collections.abc import Generator, Iterable, Iterator
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from trunkline.catalogue.events.access import ApiCalled
from trunkline.codec import Envelope
from trunkline.errors import InvalidInput
from trunkline.sources.bad import BadInput
from trunkline.sources.cloudtrail_record import to_event

FILE_BYTES_MAX: Final = 256 * 1024 * 1024
"""Unpacked. CloudTrail itself closes a file long before; a larger one is something else, or an attack."""
SORT_RECORDS_MAX: Final = 100_000
"""How many records are held back to bring them into order of time; deliveries are minutes late, not days."""
_DIGESTS: Final = "_CloudTrail-Digest_"
"""In the names of CloudTrail's own digest files, which lie beside the logs and hold no records."""
_SUFFIXES: Final = (".json", ".json.gz")


class _Log(msgspec.Struct):
    records: list[msgspec.Raw] = msgspec.field(name="Records")


_log: Final = msgspec.json.Decoder(_Log)


def find_files(path: Path) -> list[Path]:
    """The log files at a path: itself, or all below it, by name, which begins with the time of delivery.

    Raises `InvalidInput` when there is none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InvalidInput(f"{path}: no such file or directory; give CloudTrail logs or a directory of them")
    found = [file for file in path.rglob("*") if file.name.endswith(_SUFFIXES) and file.is_file()]
    files = sorted((file for file in found if _DIGESTS not in file.name), key=lambda file: (file.name, file))
    if not files:
        raise InvalidInput(f"{path}: no file ending in {' or '.join(_SUFFIXES)} in it")
    return files


def read_events(
    files: Iterable[Path], *, tenant: str | None = None
) -> Generator[Envelope[ApiCalled] | BadInput, None, None]:
    """The records of all files as events, in order of time; what is bad comes as `BadInput` when it is met.

    The order is kept by holding back up to `SORT_RECORDS_MAX` records. The tenant is `tenant`, or the account
    that the record belongs to, or `system` where it names none.
    """
    held: list[tuple[datetime, int, Envelope[ApiCalled]]] = []
    arrivals = count()
    for path in files:
        for item in _read_file(path, tenant):
            if isinstance(item, BadInput):
                yield item
                continue
            heapq.heappush(held, (item.time, next(arrivals), item))
            if len(held) > SORT_RECORDS_MAX:
                yield heapq.heappop(held)[2]
    while held:
        yield heapq.heappop(held)[2]


def _read_file(path: Path, tenant: str | None) -> Iterator[Envelope[ApiCalled] | BadInput]:
    try:
        records = _log.decode(_content(path)).records
    except (OSError, EOFError, zlib.error) as error:
        yield BadInput(path, None, f"cannot be read: {error}")
        return
    except (ValueError, RecursionError) as error:
        yield BadInput(path, None, f"not a CloudTrail log: {error}")
        return
    for number, raw in enumerate(records, 1):
        try:
            yield to_event(bytes(raw), tenant=tenant)
        except ValueError as error:
            yield BadInput(path, number, str(error))


def _content(path: Path) -> bytes:
    with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
        content: bytes = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise ValueError(f"more than {FILE_BYTES_MAX} bytes")
    return content
