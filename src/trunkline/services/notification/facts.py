"""What rules and templates may know of an event: its fields, without personal data. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import inspect as types

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.base import EventClass
from trunkline.client.handler import Received

TEXT_MAX: Final = 4_096
"""Characters of a field's text that are kept; a field has no business to be longer in a message."""
SUMMARY_MAX: Final = 300

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_PERSONAL: Final = "x-pii"

_encode: Final = msgspec.json.Encoder(order="sorted").encode


def to_us(moment: datetime) -> int:
    """Microseconds since 1970, exact."""
    return (moment - EPOCH) // _MICROSECOND


def from_us(time_us: int) -> datetime:
    """The moment in UTC."""
    return EPOCH + timedelta(microseconds=time_us)


def moment(time_us: int | None) -> datetime | None:
    """The moment in UTC, where there is one."""
    return None if time_us is None else from_us(time_us)


def shown(time_us: int) -> str:
    """A time for people: RFC 3339 in UTC, to the second."""
    return from_us(time_us).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Facts:
    """An event as rules see it. `data` has every field of the type, those with defaults too."""

    tenant: str
    source: str
    id: str
    type: str
    time_us: int
    expires_us: int | None
    correlation_id: str | None
    data: Mapping[str, Any]
    summary: str

    @property
    def data_json(self) -> str:
        """The fields as JSON, with sorted keys."""
        return _encode(self.data).decode()


def facts_of(received: Received) -> Facts:
    """The facts of a received event. An `expirytime` that is no time counts as none."""
    event = received.event
    data = data_of(event.data)
    return Facts(
        tenant=event.tenantid,
        source=event.source,
        id=event.id,
        type=event.type,
        time_us=to_us(event.time),
        expires_us=_expires(event.extensions.get("expirytime")),
        correlation_id=event.correlationid,
        data=data,
        summary=_summary(event.data, event.type, data),
    )


def data_of(event: Event) -> dict[str, Any]:
    """The fields of an event as JSON values, without personal ones, long texts cut."""
    return {name: _cut(msgspec.to_builtins(getattr(event, name))) for name in _public_fields(type(event))}


@cache
def _public_fields(cls: EventClass) -> tuple[str, ...]:
    info = types.type_info(cls)
    assert isinstance(info, types.StructType)
    return tuple(field.name for field in info.fields if not _is_personal(field.type))


def _is_personal(of: types.Type) -> bool:
    if isinstance(of, types.Metadata):
        return bool((of.extra_json_schema or {}).get(_PERSONAL)) or _is_personal(of.type)
    return isinstance(of, types.UnionType) and any(_is_personal(one) for one in of.types)


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= TEXT_MAX else value[: TEXT_MAX - 1] + "…"
    if isinstance(value, dict):
        return {str(key): _cut(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(one) for one in value]
    return value


def _summary(event: Event, type_name: str, data: Mapping[str, Any]) -> str:
    """One line: what happened, to what, and what was said about it."""
    what = type_name.rpartition(".v")[0].replace(".", " ").replace("_", " ")
    resource = data.get("asset") or data.get("job") or event.summary().resource_id
    said = next((data[name] for name in ("message", "note", "reason") if data.get(name)), None)
    line = " ".join(part for part in (what, str(resource) if resource else "") if part)
    line = f"{line}: {said}" if said else line
    line = " ".join(line.split())
    return line if len(line) <= SUMMARY_MAX else line[: SUMMARY_MAX - 1] + "…"


def _expires(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        expires = datetime.fromisoformat(text)
    except ValueError:
        return None
    return to_us(expires if expires.tzinfo else expires.replace(tzinfo=UTC))
