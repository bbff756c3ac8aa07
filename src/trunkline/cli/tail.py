"""`trunkline tail`: the events of a topic, a line each."""

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from trunkline.cli import _common, _connection
from trunkline.cli._common import AsJson, BootstrapServers
from trunkline.cli._connection import ClientProperties

if TYPE_CHECKING:
    from trunkline.client.reader import TopicReader
    from trunkline.codec import Record

LAST: Final = 10
COUNT_MAX: Final = 100_000

EXAMPLE: Final = """Print the events of a topic, a line each: time, tenant, type, position, data.

Without options, the last 10. A record that is no event of the contract is shown as such, with the reason.
Reading here moves nobody's position.

[bold]Example[/bold]

  trunkline tail query.execution.events --tenant acme --follow
"""

app = _common.new_app(EXAMPLE)


@app.command(help=EXAMPLE)
def tail(
    *,
    topic: Annotated[str, typer.Argument(help="The topic.")],
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="Only this tenant's events.")] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="From the oldest record that is kept.")
    ] = False,
    count: Annotated[
        int | None,
        typer.Option("--count", "-n", min=1, max=COUNT_MAX, help="At most so many."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new events.")] = False,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.reader import TopicReader

    connection = _connection.connection(
        bootstrap_servers, client_id="trunkline-tail", properties=client_properties
    )
    with TopicReader(connection, topic) as reader, _common.on_stop_signal(reader.stop):
        if from_beginning:
            records: Iterable[Record] = islice(_stream(reader, tenant=tenant, follow=follow), count)
        else:
            records = _last(reader, tenant=tenant, count=count or LAST)
        for record in records:
            _print(record, as_json=as_json)
        if follow and not from_beginning:
            for record in _of_tenant(reader.following(), tenant):
                _print(record, as_json=as_json)


def _stream(reader: "TopicReader", *, tenant: str | None, follow: bool) -> Iterator["Record"]:
    yield from _of_tenant(reader.existing(), tenant)
    if follow:
        yield from _of_tenant(reader.following(), tenant)


def _last(reader: "TopicReader", *, tenant: str | None, count: int) -> Iterable["Record"]:
    """The newest records over all partitions, in the order of their timestamps."""
    kept: dict[int, deque[Record]] = {}
    # A tenant's last events may lie anywhere; without a tenant, the ends of the partitions hold them.
    for record in _of_tenant(reader.existing(last=count if tenant is None else None), tenant):
        kept.setdefault(record.partition, deque(maxlen=count)).append(record)
    everything = [record for records in kept.values() for record in records]
    everything.sort(key=lambda record: (record.timestamp_ms, record.partition, record.offset))
    return everything[-count:]


def _of_tenant(records: Iterable["Record"], tenant: str | None) -> Iterator["Record"]:
    wanted = None if tenant is None else tenant.encode()
    return (record for record in records if wanted is None or record.key == wanted)


def _print(record: "Record", *, as_json: bool) -> None:
    shown = _shown(record)
    if as_json:
        _common.print_json(shown)
        return
    position = f"{shown['partition']}@{shown['offset']}"
    if "error" in shown:
        what = f"not an event ({shown['reason']}): {shown['error']}"
        typer.echo(f"{shown['recorded']}  {shown['tenant'] or '-'}  {position}  {what}")
    else:
        data = msgspec.json.encode(shown["data"]).decode()
        typer.echo(f"{shown['time']}  {shown['tenant']}  {shown['type']}  {position}  {data}")


def _shown(record: "Record") -> dict[str, Any]:
    from trunkline.codec import CodecError, decode

    where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    recorded = _time(datetime.fromtimestamp(record.timestamp_ms / 1000, UTC))
    try:
        event = decode(record)
    except CodecError as error:
        key = None if record.key is None else record.key.decode(errors="replace")
        value = None if record.value is None else record.value[:200].decode(errors="replace")
        why = {"reason": error.reason, "error": str(error), "value": value}
        return {**where, "recorded": recorded, "tenant": key, **why}
    optional = {
        name: value
        for name in ("subject", "correlationid", "causationid", "traceparent")
        if (value := getattr(event, name)) is not None
    }
    return {
        **where,
        "recorded": recorded,
        "time": _time(event.time),
        "tenant": event.tenantid,
        "type": event.type,
        "id": event.id,
        "source": event.source,
        **optional,
        **event.extensions,
        "data": event.data,
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
