"""OpenLineage run events in files: one a line, or a JSON document of one or a list of them.

They come out in order of time, a run's start before its end, as events of the pipeline topic and of the
quality topic. Sources and ids are those that the services themselves would give them, so that a run counts
once, whether it was imported, imported again, or sent to the services' own API as well.
"""

import gzip
import heapq
import zlib
from collections.abc import Generator, Iterable, Iterator
from datetime import datetime
from io import BufferedIOBase
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from trunkline.catalogue.events import Event
from trunkline.catalogue.names import SYSTEM_TENANT, TenantId
from trunkline.codec import Envelope, new_envelope
from trunkline.codec.openlineage.checks import check_results
from trunkline.codec.openlineage.run_event import (
    RUN_EVENT_BYTES_MAX,
    EventType,
    InvalidRunEvent,
    RunEvent,
    decode_run_event,
)
from trunkline.codec.openlineage.runs import pipeline_event, root_run, run_event_id
from trunkline.errors import InvalidInput
from trunkline.sources.bad import BadInput

PIPELINE_SOURCE: Final = "/pipeline-service"
QUALITY_SOURCE: Final = "/data-quality-service"

DOCUMENT_BYTES_MAX: Final = 256 * 1024 * 1024
"""Unpacked, of a JSON document; JSON lines may be any number."""
SORT_EVENTS_MAX: Final = 100_000
"""How many run events are held back to bring them into order of time."""

_SUFFIXES: Final = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
_RANK: Final = {EventType.START: 0, EventType.RUNNING: 1, EventType.OTHER: 1}
_documents: Final = msgspec.json.Decoder(list[msgspec.Raw])


def find_files(paths: Iterable[Path]) -> list[Path]:
    """The files at these paths: themselves, or all below them, by name. Raises `InvalidInput`."""
    files: list[Path] = []
    for path in paths:
        if path.is_file():
            files.append(path)
            continue
        found = sorted(one for one in path.rglob("*") if one.name.endswith(_SUFFIXES) and one.is_file())
        if not found:
            what = f"no file ending in {' or '.join(_SUFFIXES)} in it" if path.is_dir() else "no such file"
            raise InvalidInput(f"{path}: {what}; give OpenLineage run events, one a line")
        files += found
    return files


def read_events(
    files: Iterable[Path], *, tenant: str = SYSTEM_TENANT
) -> Generator[Envelope[Event] | BadInput, None, None]:
    """What all files say, in order of time; what is bad comes as `BadInput` when it is met.

    The order is kept by holding back up to `SORT_EVENTS_MAX` run events. OpenLineage knows no tenants: all is
    `tenant`'s.
    """
    translation = _Translation(TenantId(tenant))
    held: list[tuple[datetime, int, int, RunEvent]] = []
    arrivals = count()
    for path in files:
        for item in _read_file(path):
            if isinstance(item, BadInput):
                yield item
                continue
            heapq.heappush(held, (item.event_time, _RANK.get(item.event_type, 2), next(arrivals), item))
            if len(held) > SORT_EVENTS_MAX:
                yield from translation.events(heapq.heappop(held)[3])
    while held:
        yield from translation.events(heapq.heappop(held)[3])


class _Translation:
    """Run events, in order, as events; what comes twice is left out."""

    def __init__(self, tenant: TenantId) -> None:
        self._tenant = tenant
        self._started: dict[str, datetime] = {}
        self._done: set[str] = set()

    def events(self, run: RunEvent) -> Iterator[Envelope[Event]]:
        run_id = run.run.run_id
        if run.event_type is EventType.START:
            self._started.setdefault(run_id, run.event_time)
        told = pipeline_event(run, started=self._started.get(run_id))
        cause = run_event_id(run)
        if told is not None and self._is_new(cause):
            yield self._envelope(told, run, source=PIPELINE_SOURCE, id_=cause, cause=None)
        for result in check_results(run):
            if self._is_new(result.id):
                yield self._envelope(result.event, run, source=QUALITY_SOURCE, id_=result.id, cause=cause)

    def _is_new(self, id_: str) -> bool:
        if id_ in self._done:
            return False
        self._done.add(id_)
        return True

    def _envelope(
        self, event: Event, run: RunEvent, *, source: str, id_: str, cause: str | None
    ) -> Envelope[Event]:
        return new_envelope(
            event,
            tenant=self._tenant,
            source=source,
            id=id_,
            time=run.event_time,
            correlationid=root_run(run),
            causationid=cause,
        )


def _read_file(path: Path) -> Iterator[RunEvent | BadInput]:
    packed = path.name.endswith(".gz")
    whole = path.name.removesuffix(".gz").endswith(".json")
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            contents = _documents_of(file.read(DOCUMENT_BYTES_MAX + 1)) if whole else _lines(file)
            for number, content in contents:
                if content is None:
                    yield BadInput(path, number, f"the line is longer than {RUN_EVENT_BYTES_MAX} bytes")
                    continue
                try:
                    yield decode_run_event(content)
                except InvalidRunEvent as error:
                    yield BadInput(path, number, str(error))
    except (OSError, EOFError, zlib.error) as error:
        yield BadInput(path, None, f"cannot be read: {error}")
    except (ValueError, RecursionError) as error:
        yield BadInput(path, None, f"not OpenLineage: {' '.join(str(error).split())}")


def _documents_of(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of a list, or the one document that it is. Raises `ValueError`."""
    if len(content) > DOCUMENT_BYTES_MAX:
        raise ValueError(f"more than {DOCUMENT_BYTES_MAX} bytes; give JSON lines")
    if content.lstrip()[:1] == b"[":
        yield from enumerate(map(bytes, _documents.decode(content)), 1)
    else:
        yield 1, content


def _lines(file: BufferedIOBase) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines that are not empty; None for one that is too long, which is not held in memory."""
    number = 0
    while line := file.readline(RUN_EVENT_BYTES_MAX + 1):
        number += 1
        if len(line) > RUN_EVENT_BYTES_MAX and not line.endswith(b"\n"):
            while (rest := file.readline(RUN_EVENT_BYTES_MAX)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        elif line.strip():
            yield number, line
