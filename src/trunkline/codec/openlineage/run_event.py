"""A run event as it is read: what is used of it, bounded, and everything else left out."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from trunkline.catalogue.assets import dataset_urn
from trunkline.catalogue.events.fields import Identifier, LongName
from trunkline.errors import InvalidInput

RUN_EVENT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of one run event as JSON. Lineage of thousands of columns takes some; more is something else."""

DATASETS_MAX: Final = 200
"""Of one side of a run."""


class InvalidRunEvent(InvalidInput):
    """What was given is no run event of OpenLineage; the text says why, in one line."""


class EventType(StrEnum):
    """Where a run is. The last three end it; `OTHER` says something about it at any time."""

    START = "START"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    ABORT = "ABORT"
    OTHER = "OTHER"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended with this."""
        return self in (EventType.COMPLETE, EventType.FAIL, EventType.ABORT)


Facets = dict[str, Any]


class Run(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An execution of a job."""

    run_id: Identifier
    facets: Facets = msgspec.field(default_factory=dict)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is executed."""

    namespace: LongName
    name: LongName
    facets: Facets = msgspec.field(default_factory=dict)


class Dataset(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a run reads or writes; facets of the dataset itself, and of this run's use of it."""

    namespace: LongName
    name: LongName
    facets: Facets = msgspec.field(default_factory=dict)
    input_facets: Facets = msgspec.field(default_factory=dict)
    output_facets: Facets = msgspec.field(default_factory=dict)

    @property
    def urn(self) -> str:
        """The asset that it is."""
        return dataset_urn(self.namespace, self.name)

    def facet(self, name: str) -> Iterator[Mapping[str, Any]]:
        """The facets of a name, wherever they are."""
        for facets in (self.input_facets, self.output_facets, self.facets):
            found = facets.get(name)
            if isinstance(found, dict) and not found.get("_deleted"):
                yield found


class RunEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One event of a run's life."""

    event_time: datetime
    run: Run
    job: Job
    event_type: EventType = EventType.OTHER
    inputs: Annotated[tuple[Dataset, ...], Meta(max_length=DATASETS_MAX)] = ()
    outputs: Annotated[tuple[Dataset, ...], Meta(max_length=DATASETS_MAX)] = ()
    producer: str | None = None

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """What it reads and what it writes."""
        return self.inputs + self.outputs


_decoder: Final = msgspec.json.Decoder(RunEvent)


def decode_run_event(content: bytes) -> RunEvent:
    """The run event in these bytes. Raises `InvalidRunEvent`. A time without an offset is UTC."""
    if len(content) > RUN_EVENT_BYTES_MAX:
        raise InvalidRunEvent(f"larger than {RUN_EVENT_BYTES_MAX} bytes")
    try:
        found = _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRunEvent(f"not an OpenLineage run event: {' '.join(str(error).split())}") from error
    if found.event_time.tzinfo is None:
        return msgspec.structs.replace(found, event_time=found.event_time.replace(tzinfo=UTC))
    return found
