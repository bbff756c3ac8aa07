"""`trunkline pipeline`: tells the pipeline service where runs are, and shows them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, DataDir
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trunkline.services.pipeline.runs import Desk
    from trunkline.services.pipeline.store import Run

SERVICE: Final = "pipeline-service"

Tenant = Annotated[str, typer.Option("--tenant", help="Whose run.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The service's database, if not in DIR.")
]

START_HELP: Final = """Start a run of a job, or another attempt of a run that failed; prints the run's id.

[bold]Example[/bold]

  trunkline pipeline start dbt.orders --namespace warehouse --output warehouse.orders --tenant acme
"""
PROGRESS_HELP: Final = """Tell how far a run is.

[bold]Example[/bold]

  trunkline pipeline progress RUN --percent 40 --tenant acme
"""
COMPLETE_HELP: Final = """End a run well.

[bold]Example[/bold]

  trunkline pipeline complete RUN --rows-written 2990 --tenant acme
"""
FAIL_HELP: Final = """End a run's attempt with an error; it may be started again.

[bold]Example[/bold]

  trunkline pipeline fail RUN --message "connection refused" --error-code source_unreachable --tenant acme
"""
ABORT_HELP: Final = """Stop a run for good.

[bold]Example[/bold]

  trunkline pipeline abort RUN --actor ada --reason "wrong parameters" --tenant acme
"""
SHOW_HELP: Final = """Show a run and the steps it took.

[bold]Example[/bold]

  trunkline pipeline show RUN --tenant acme
"""
LIST_HELP: Final = """List runs, newest first.

[bold]Example[/bold]

  trunkline pipeline list --tenant acme --state failed
"""

app = _common.new_app("Tell where runs of jobs are, and show them.", no_args_is_help=True)


@app.command(help=START_HELP)
def start(
    job: Annotated[str, typer.Argument(help="The job's name.")],
    *,
    tenant: Tenant,
    namespace: Annotated[str, typer.Option(help="Where the job lives.")],
    run: Annotated[str | None, typer.Option(help="The run's id; a new one unless given.")] = None,
    reads: Annotated[list[str] | None, typer.Option("--input", help="What it reads; repeatable.")] = None,
    writes: Annotated[list[str] | None, typer.Option("--output", help="What it writes; repeatable.")] = None,
    trigger: Annotated[str, typer.Option(help="What made it start.")] = "manual",
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    with _desk(data_dir, store, create=True) as (desk, tx):
        found = desk.start(
            tx,
            tenant,
            job=job,
            namespace=namespace,
            run_id=run,
            inputs=reads or (),
            outputs=writes or (),
            trigger=trigger,
        )
    if as_json:
        _show(found, as_json=True)
    else:
        typer.echo(found.run_id)


@app.command(help=PROGRESS_HELP)
def progress(
    run_id: RunId,
    *,
    tenant: Tenant,
    percent: Annotated[int | None, typer.Option(min=0, max=100, help="How much is done.")] = None,
    rows_written: Annotated[int, typer.Option(min=0, help="So far.")] = 0,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    with _desk(data_dir, store) as (desk, tx):
        found = desk.progress(tx, tenant, run_id, percent=percent, rows_written=rows_written)
    _show(found, as_json=as_json)


@app.command(help=COMPLETE_HELP)
def complete(
    run_id: RunId,
    *,
    tenant: Tenant,
    rows_read: Annotated[int, typer.Option(min=0, help="In all.")] = 0,
    rows_written: Annotated[int, typer.Option(min=0, help="In all.")] = 0,
    bytes_written: Annotated[int, typer.Option(min=0, help="In all.")] = 0,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    with _desk(data_dir, store) as (desk, tx):
        found = desk.complete(
            tx, tenant, run_id, rows_read=rows_read, rows_written=rows_written, bytes_written=bytes_written
        )
    _show(found, as_json=as_json)


@app.command(help=FAIL_HELP)
def fail(
    run_id: RunId,
    *,
    tenant: Tenant,
    message: Annotated[str, typer.Option(help="What went wrong.")],
    error_code: Annotated[str, typer.Option(help="The same as a word for programs.")] = "run_failed",
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    with _desk(data_dir, store) as (desk, tx):
        found = desk.fail(tx, tenant, run_id, error_code=error_code, message=message)
    _show(found, as_json=as_json)


@app.command(help=ABORT_HELP)
def abort(
    run_id: RunId,
    *,
    tenant: Tenant,
    actor: Annotated[str, typer.Option(help="Who stops it.")],
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    with _desk(data_dir, store) as (desk, tx):
        found = desk.abort(tx, tenant, run_id, actor=actor, reason=reason)
    _show(found, as_json=as_json)


@app.command(help=SHOW_HELP)
def show(
    run_id: RunId,
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._offline import offline
    from trunkline.services.pipeline.store import get, history

    with offline(SERVICE, data_dir=data_dir, store=store) as context, context.store.read() as tx:
        found = history(tx, tenant, run_id)
        run = get(tx, tenant, run_id)
    if as_json:
        _common.print_json(found)
        return
    assert run is not None
    _show(run, as_json=False)
    for step in found.steps:
        typer.echo(f"  {step.at:%Y-%m-%dT%H:%M:%SZ}  {step.state}, attempt {step.attempt}  {step.id}")


@app.command("list", help=LIST_HELP)
def list_(
    *,
    tenant: Tenant,
    job: Annotated[str | None, typer.Option(help="One job only.")] = None,
    state: Annotated[str | None, typer.Option(help="started, running, completed, failed, aborted.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Lines at most.")] = 100,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._offline import offline
    from trunkline.services.pipeline.lifecycle import State
    from trunkline.services.pipeline.store import runs

    if state is not None and state not in list(State):
        raise InvalidInput(f"--state {state!r}: it is one of {', '.join(State)}")
    wanted = None if state is None else State(state)
    with offline(SERVICE, data_dir=data_dir, store=store) as context, context.store.read() as tx:
        found = runs(tx, tenant, limit=limit, job=job, state=wanted)[:limit]
    for run in found:
        _show(run, as_json=as_json)


@contextmanager
def _desk(data_dir: Path, store: str | None, *, create: bool = False) -> "Iterator[tuple[Desk, Connection]]":
    from trunkline.cli._offline import offline
    from trunkline.services.pipeline.runs import Desk

    with (
        offline(SERVICE, data_dir=data_dir, store=store, create=create) as context,
        context.store.write() as tx,
    ):
        yield Desk.of(context), tx


def _show(run: "Run", *, as_json: bool) -> None:
    from trunkline.services.pipeline.store import view

    if as_json:
        _common.print_json(view(run))
    else:
        done = "" if run.progress_percent is None else f", {run.progress_percent} %"
        typer.echo(f"{run.run_id}  {run.namespace} {run.job}  {run.state}, attempt {run.attempt}{done}")
