"""`trunkline failures`: what a service could not handle, and what becomes of it."""

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, DataDir
from trunkline.cli._ledger import DEFAULT_SERVICE, ServiceName, StoreUrl, opened, shown_time
from trunkline.cli.replay import EXAMPLE as REPLAY_EXAMPLE
from trunkline.cli.replay import print_totals, replay
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from trunkline.client.store.failures import Failure

EXAMPLE: Final = """The events that a service skipped, each whole: list, count, show, replay or discard them.

[bold]Example[/bold]

  trunkline failures list --service audit-service
"""
LIST_EXAMPLE: Final = """List failures, oldest first.

[bold]Example[/bold]

  trunkline failures list --status open --json
"""
SHOW_EXAMPLE: Final = """Show one failure with its key, headers and payload.

[bold]Example[/bold]

  trunkline failures show 7
"""
COUNT_EXAMPLE: Final = """Count failures by status, reason and topic, with their tenants and attempts.

[bold]Example[/bold]

  trunkline failures count --json
"""
DISCARD_EXAMPLE: Final = """Give failures up, for a reason that stays on record.

[bold]Example[/bold]

  trunkline failures discard 7 8 --reason "test data from a wrong environment"
"""

app = _common.new_app(EXAMPLE, no_args_is_help=True)

app.command("replay", help=REPLAY_EXAMPLE)(replay)


@app.command("list", help=LIST_EXAMPLE)
def list_(
    service: ServiceName = DEFAULT_SERVICE,
    status: Annotated[str, typer.Option(help="open, replayed, discarded or all.")] = "open",
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.store import failures

    if status not in {*failures.Status, "all"}:
        raise InvalidInput(f"status {status!r}: use {', '.join(failures.Status)} or all")
    wanted = None if status == "all" else failures.Status(status)
    with opened(service, data_dir, store) as ledger, ledger.read() as tx:
        found = failures.listed(tx, group=service, status=wanted)
    if as_json:
        _common.print_json([_as_json(failure) for failure in found])
    elif found:
        _print_table(found)
    else:
        _common.note(f"{service} has no failures" + ("" if wanted is None else f" that are {wanted}"))


@app.command(help=SHOW_EXAMPLE)
def show(
    failure_id: Annotated[int, typer.Argument(metavar="ID", help="From `failures list`.")],
    service: ServiceName = DEFAULT_SERVICE,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.store import failures

    with opened(service, data_dir, store) as ledger, ledger.read() as tx:
        shown = _as_json(failures.get(tx, failure_id), whole=True)
    if as_json:
        _common.print_json(shown)
        return
    headers = shown.pop("headers")
    for name, value in shown.items():
        typer.echo(f"{name:<11} {'-' if value is None else value}")
    for name, value in headers:
        typer.echo(f"{'header':<11} {name}: {value}")


@app.command(help=COUNT_EXAMPLE)
def count(
    service: ServiceName = DEFAULT_SERVICE,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.store import failures

    with opened(service, data_dir, store) as ledger, ledger.read() as tx:
        totals = failures.totals(tx, group=service)
    if as_json:
        _common.print_json(totals)
    elif totals:
        print_totals(totals)
    else:
        _common.note(f"{service} has no failures")


@app.command(help=DISCARD_EXAMPLE)
def discard(
    *,
    ids: Annotated[list[int], typer.Argument(metavar="ID", help="From `failures list`.")],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; it stays on record.")],
    service: ServiceName = DEFAULT_SERVICE,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.store import failures

    if not reason.strip():
        raise InvalidInput("a discarded event needs a reason; give --reason")
    with opened(service, data_dir, store) as ledger, ledger.write() as tx:
        failures.discard(tx, ids, note=reason, now_ms=int(time.time() * 1000))
    if as_json:
        _common.print_json({"discarded": ids, "reason": reason})
    else:
        typer.echo(f"discarded {len(ids)}")


def _as_json(failure: "Failure", *, whole: bool = False) -> dict[str, Any]:
    record = failure.record
    shown: dict[str, Any] = {
        "id": failure.id,
        "status": failure.status,
        "reason": failure.reason,
        "error": failure.error,
        "group": failure.lane.group,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "recorded": shown_time(record.timestamp_ms),
        "attempts": failure.attempts,
        "first_seen": shown_time(failure.first_seen_ms),
        "last_seen": shown_time(failure.last_seen_ms),
        "note": failure.note,
        "key": _text(record.key),
    }
    if whole:
        shown["value"] = _text(record.value)
        shown["headers"] = [(name, _text(value)) for name, value in record.headers]
    return shown


def _print_table(found: list["Failure"]) -> None:
    from trunkline.cli._tables import new_table, print_table

    table = new_table("id", "seen", "position", "key", "reason", "error", right=("id",))
    for failure in found:
        record = failure.record
        table.add_row(
            str(failure.id),
            shown_time(failure.first_seen_ms),
            f"{record.topic}/{record.partition}@{record.offset}",
            _text(record.key) or "-",
            failure.reason if failure.status == "open" else f"{failure.reason} ({failure.status})",
            failure.error,
        )
    print_table(table)


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("utf-8", "backslashreplace")
