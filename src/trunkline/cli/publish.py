"""`trunkline publish`: one event, as one of the services."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common, _connection
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile
from trunkline.cli._connection import ClientProperties
from trunkline.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from trunkline.catalogue.events import Event
    from trunkline.codec import Envelope

OUTCOME_SECONDS: Final = 30.0

EXAMPLE: Final = """Publish one event as one of the services.

DATA is a JSON object, @FILE, or - for standard input. What the contract does not allow is refused
before anything is sent, with exit code 2.

[bold]Example[/bold]

  trunkline publish --service tenant-service --tenant acme tenant.created.v1 @event.json
"""

app = _common.new_app(EXAMPLE)


@app.command(help=EXAMPLE)
def publish(
    *,
    type_name: Annotated[str, typer.Argument(metavar="TYPE", help="Such as query.completed.v1.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="A JSON object, @FILE or -.")],
    service: Annotated[str, typer.Option("--service", "-s", help="The publishing service.")],
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="Whose event it is; also the record's key.")],
    event_id: Annotated[
        str | None, typer.Option("--id", help="The same id again has no second effect. Default: a new one.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="What the event is about.")] = None,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.catalogue.events import declaration_of
    from trunkline.client.admin import require_topics
    from trunkline.client.publisher import Publisher

    connection = _connection.connection(bootstrap_servers, client_id=service, properties=client_properties)
    contract = _common.read_catalogue(catalogue)
    contract.service(service)
    event = _event(type_name, _read(data))
    with Publisher(service=service, connection=connection, catalogue=contract) as publisher:
        envelope = publisher.new_envelope(event, tenant=tenant, id=event_id, subject=subject)
        publisher.check(envelope)
        _check_setting(envelope)
        # Without a cluster or a topic the event would wait until it times out; say so at once instead.
        require_topics(connection, [declaration_of(event).topic])
        try:
            at = publisher.publish_envelope(envelope).result(OUTCOME_SECONDS)
        except TimeoutError as error:
            raise Unavailable(f"{error}; publish it again with --id {envelope.id}") from error
        except KeyboardInterrupt:
            _common.note(f"no outcome yet; publish it again with --id {envelope.id} to be sure")
            raise
    if as_json:
        position = {"topic": at.topic, "partition": at.partition, "offset": at.offset}
        _common.print_json({"id": envelope.id, "type": envelope.type, "tenant": tenant, **position})
    else:
        typer.echo(f"{envelope.id} is at {at.topic}/{at.partition}@{at.offset}")


def _check_setting(envelope: "Envelope[Event]") -> None:
    """Refuse what is valid by its schema and what no instance would apply, such as another tenant's level."""
    from trunkline.catalogue.events import declaration_of
    from trunkline.catalogue.events.config import TOPIC
    from trunkline.client.broadcast.entries import Rejected
    from trunkline.client.broadcast.state import State

    if declaration_of(envelope.data).topic != TOPIC:
        return
    try:
        State().apply(envelope)
    except Rejected as error:
        raise InvalidInput(f"{envelope.type}: every instance would refuse it: {error}") from error


def _read(data: str) -> bytes:
    if data == "-":
        return sys.stdin.buffer.read()
    if not data.startswith("@"):
        return data.encode()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{data[1:]}: {error.strerror}") from error


def _event(type_name: str, data: bytes) -> "Event":
    import msgspec

    from trunkline.catalogue.events import EVENT_TYPES
    from trunkline.catalogue.model import near
    from trunkline.catalogue.names import EventType

    declaration = EVENT_TYPES.get(EventType(type_name))
    if declaration is None:
        hint = near(type_name, EVENT_TYPES) or "; `trunkline contract export` lists them all"
        raise InvalidInput(f"unknown event type {type_name!r}{hint}")
    if not data.strip():
        raise InvalidInput(f"{type_name}: the data is empty; give a JSON object")
    try:
        return msgspec.json.decode(data, type=declaration.cls)
    except msgspec.ValidationError as error:
        example = msgspec.json.encode(dict(declaration.example)).decode()
        raise InvalidInput(f"{type_name}: {error}; for example: {example}") from error
    except msgspec.DecodeError as error:
        raise InvalidInput(f"{type_name}: not JSON: {error}") from error
