"""Traces of language model inference: CSV files of `TIMESTAMP,ContextTokens,GeneratedTokens`.

That is the form in which Azure publishes its LLM inference traces. A row is one call of a model and becomes
one `agent.tokens_used.v1` of the AI service. Nothing else is made of it: a trace does not know runs, tools or
how long a call took.

Ids are derived from the rows, so that importing again, in another order or in parts, changes nothing. Rows
that are equal in every digit are different calls; they are told apart by counting them, over all files of one
import. A time without a zone is UTC. The events carry the extension attribute `backfill`: they are history,
on purpose, and billing's limit for usage that comes late does not apply to them.
"""

import csv
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from trunkline.catalogue.events.agent import AgentTokensUsed
from trunkline.catalogue.events.fields import COUNT_MAX, Identifier, Word
from trunkline.catalogue.names import TENANT_PATTERN, TenantId
from trunkline.codec import Envelope, derive_id, new_envelope
from trunkline.errors import InvalidInput
from trunkline.sources.bad import BadInput

SOURCE: Final = "/sources/llm-trace"
BACKFILL: Final = {"backfill": "llm-trace"}
"""The extension attribute of what is imported."""

COLUMNS: Final = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
SUFFIX: Final = ".csv"
LINE_CHARS_MAX: Final = 1_000
"""Of a row with three numbers; a longer one is of another file."""

AGENT: Final = "llm-trace"
TENANT_DEFAULT: Final = TenantId("llm-trace")
MODEL_DEFAULT: Final = "unknown"
PROVIDER_DEFAULT: Final = "azure"

_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?", re.ASCII
)
_COUNT: Final = re.compile(r"[0-9]{1,16}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose calls they are, and of which model: what a trace does not say. Part of every id."""

    tenant: TenantId = TENANT_DEFAULT
    model: str = MODEL_DEFAULT
    provider: str = PROVIDER_DEFAULT


def new_origin(*, tenant: str, model: str, provider: str) -> Origin:
    """Checked. Raises `InvalidInput` for what no event could say."""
    if not TENANT_PATTERN.fullmatch(tenant):
        raise InvalidInput(f"tenant {tenant[:80]!r}: use up to 64 letters, digits, '.', '_' or '-'")
    try:
        msgspec.convert(model, Identifier)
        msgspec.convert(provider, Word)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"model {model[:80]!r} of {provider[:80]!r}: a model has up to 256 characters, and a provider "
            "is a word of up to 64 of a-z, 0-9 and _"
        ) from error
    return Origin(tenant=TenantId(tenant), model=model, provider=provider)


@dataclass(frozen=True, slots=True)
class Call:
    """One row. `moment` is its time in UTC with nine digits of the second, of which `time` keeps six."""

    time: datetime
    moment: str
    context_tokens: int
    generated_tokens: int


def find_files(paths: Iterable[Path]) -> list[Path]:
    """The files at these paths: themselves, or all `.csv` files below them. Raises `InvalidInput`."""
    found: list[Path] = []
    for path in paths:
        if path.is_file():
            found.append(path)
            continue
        below = sorted(file for file in path.rglob(f"*{SUFFIX}") if file.is_file())
        if not below:
            what = f"no file ending in {SUFFIX} in it" if path.is_dir() else "no such file or directory"
            raise InvalidInput(f"{path}: {what}; give traces in CSV, with the columns {','.join(COLUMNS)}")
        found += below
    return found


def read_events(
    files: Iterable[Path], *, origin: Origin
) -> Generator[Envelope[AgentTokensUsed] | BadInput, None, None]:
    """The rows of all files as events, as they stand; what is bad comes as `BadInput` when it is met."""
    seen: Counter[tuple[str, int, int]] = Counter()
    for path in files:
        for item in _read_file(path):
            if isinstance(item, BadInput):
                yield item
                continue
            row = (item.moment, item.context_tokens, item.generated_tokens)
            seen[row] += 1
            yield _event(item, origin, occurrence=seen[row])


def _read_file(path: Path) -> Iterator[Call | BadInput]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(_bounded(file))
            heading = next(rows, [])
            if tuple(heading) != COLUMNS:
                yield BadInput(path, 1, f"the columns are not {','.join(COLUMNS)}: no trace of LLM inference")
                return
            for row in rows:
                if row:
                    yield _call(path, rows.line_num, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        yield BadInput(path, None, f"cannot be read: {error}")


def _bounded(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if len(line) > LINE_CHARS_MAX:
            raise csv.Error(f"a line of more than {LINE_CHARS_MAX} characters")
        yield line


def _call(path: Path, number: int, row: Sequence[str]) -> Call | BadInput:
    if len(row) != len(COLUMNS):
        return BadInput(path, number, f"{len(row)} values instead of {len(COLUMNS)}")
    try:
        time, moment = _time(row[0].strip())
        return Call(time, moment, _count(row[1]), _count(row[2]))
    except ValueError as error:
        return BadInput(path, number, str(error))


def _time(text: str) -> tuple[datetime, str]:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"time {text[:40]!r} is not YYYY-MM-DD HH:MM:SS.fffffff")
    date, clock, fraction, zone = found.groups()
    digits = (fraction or "").ljust(9, "0")
    local = datetime.fromisoformat(f"{date}T{clock}.{digits[:6]}{zone or 'Z'}")
    try:
        time = local.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"time {text[:40]!r} has no equivalent in UTC") from error
    return time, f"{time:%Y-%m-%dT%H:%M:%S}.{digits}Z"


def _count(text: str) -> int:
    if not _COUNT.fullmatch(text.strip()) or int(text) > COUNT_MAX:
        raise ValueError(f"{text[:40]!r} is no number of tokens")
    return int(text)


def _event(call: Call, origin: Origin, *, occurrence: int) -> Envelope[AgentTokensUsed]:
    tokens = (str(call.context_tokens), str(call.generated_tokens))
    event_id = derive_id(SOURCE, origin.provider, origin.model, call.moment, *tokens, str(occurrence))
    event = AgentTokensUsed(
        run_id=event_id,
        agent_id=AGENT,
        provider=origin.provider,
        model=origin.model,
        input_tokens=call.context_tokens,
        output_tokens=call.generated_tokens,
    )
    return new_envelope(
        event, tenant=origin.tenant, source=SOURCE, time=call.time, id=event_id, extensions=BACKFILL
    )
