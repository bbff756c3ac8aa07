"""`trunkline failures`: what a service could not handle, and what becomes of it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, DataDir
from trunkline.errors import InvalidInput, TrunklineError

if TYPE_CHECKING:
    from trunkline.client.store import Store
    from trunkline.client.store.failures import Failure

EXAMPLE: Final = """The events that a service skipped, each whole: list, show, replay or discard them.

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
REPLAY_EXAMPLE: Final = """Give failed events to their service again, and to no other.

What fails again stays in the ledger with one more attempt, and the exit code is 1. Replaying twice has no
second effect.

[bold]Example[/bold]

  trunkline failures replay --all
"""
DISCARD_EXAMPLE: Final = """Give failures up, for a reason that stays on record.

[bold]Example[/bold]

  trunkline failures discard 7 8 --reason "test data from a wrong environment"
"""

app = _common.new_app(EXAMPLE, no_args_is_help=True)

ServiceName = Annotated[str, typer.Option("--service", "-s", help="Whose ledger.")]
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The service's database, if not in DIR.")
]
Ids = Annotated[list[int] | None, typer.Argument(metavar="ID", help="From `failures list`.")]
DEFAULT_SERVICE: Final = "audit-service"


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
    with _opened(service, data_dir, store) as opened, opened.read() as tx:
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

    with _opened(service, data_dir, store) as opened, opened.read() as tx:
        shown = _as_json(failures.get(tx, failure_id), whole=True)
    if as_json:
        _common.print_json(shown)
        return
    headers = shown.pop("headers")
    for name, value in shown.items():
        typer.echo(f"{name:<11} {'-' if value is None else value}")
    for name, value in headers:
        typer.echo(f"{'header':<11} {name}: {value}")


@app.command(help=REPLAY_EXAMPLE)
def replay(
    *,
    ids: Ids = None,
    everything: Annotated[bool, typer.Option("--all", help="Every open failure of the service.")] = False,
    service: ServiceName = DEFAULT_SERVICE,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.replay import Verdict
    from trunkline.client.replay import replay as replay_failures
    from trunkline.client.store import failures
    from trunkline.services import RUNNABLE, runnable

    if bool(ids) == everything:
        raise InvalidInput("say which failures to replay: ids, or --all")
    if service not in RUNNABLE:
        raise InvalidInput(
            f"the handler of {service} is not part of Trunkline; call trunkline.client.replay where it is"
        )
    with _opened(service, data_dir, store) as opened:
        handler = runnable(service).build(opened, data_dir, on_failure=_raise).handler
        if everything:
            with opened.read() as tx:
                ids = failures.open_ids(tx, group=service)
        results = replay_failures(opened, handler, ids or [])
    if as_json:
        _common.print_json(results)
    else:
        for result in results:
            why = f": {result.refusal.reason}: {result.refusal.detail}" if result.refusal else ""
            typer.echo(f"{result.failure_id} {result.verdict}{why}")
    again = sum(result.verdict is Verdict.FAILED_AGAIN for result in results)
    if again:
        raise TrunklineError(f"{again} of {len(results)} failed again; `trunkline failures list` says why")


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
    with _opened(service, data_dir, store) as opened, opened.write() as tx:
        failures.discard(tx, ids, note=reason, now_ms=int(time.time() * 1000))
    if as_json:
        _common.print_json({"discarded": ids, "reason": reason})
    else:
        typer.echo(f"discarded {len(ids)}")


@contextmanager
def _opened(service: str, data_dir: Path, store: str | None) -> Iterator["Store"]:
    """The service's store, which must exist: a ledger that is not there is a wrong path, not an empty one."""
    from trunkline.client.store import migrate, open_store

    if store is None:
        store = _common.service_store_url(data_dir, service)
        path = Path(store.removeprefix("sqlite:///"))
        if not path.exists():
            raise InvalidInput(f"{service} has no store at {path}; give its --data-dir or --store")
    opened = open_store(store)
    try:
        migrate(opened)
        yield opened
    finally:
        opened.close()


def _raise(error: TrunklineError) -> None:
    raise error


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
        "recorded": _time(record.timestamp_ms),
        "attempts": failure.attempts,
        "first_seen": _time(failure.first_seen_ms),
        "last_seen": _time(failure.last_seen_ms),
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
            _time(failure.first_seen_ms),
            f"{record.topic}/{record.partition}@{record.offset}",
            _text(record.key) or "-",
            failure.reason if failure.status == "open" else f"{failure.reason} ({failure.status})",
            failure.error,
        )
    print_table(table)


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("utf-8", "backslashreplace")


def _time(unix_ms: int) -> str:
    moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
