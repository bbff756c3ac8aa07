"""`trunkline agent`: runs of AI agents."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast, get_args

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, DataDir
from trunkline.cli._offline import offline
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trunkline.services.ai.desk import Desk, Run

SERVICE: Final = "ai-service"

HELP: Final = """Record runs of AI agents; what a run's end says is the sum of its steps.

The events go out when ai-service runs. A step that is repeated with the same --key is counted once.

[bold]Example[/bold]

  trunkline agent start r-1 --tenant acme --agent sql-analyst --user u-17

  trunkline agent tokens r-1 --tenant acme --provider in_house --model m-70b --input 3100 --output 420

  trunkline agent complete r-1 --tenant acme
"""

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Whose run.")]
Key = Annotated[str | None, typer.Option("--key", help="Names the step, so that it can be repeated.")]
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The AI service's database, if not in DIR.")
]

app = _common.new_app(HELP, no_args_is_help=True)


def _do(
    data_dir: Path,
    store: str | None,
    work: "Callable[[Connection, Desk], Run]",
    *,
    as_json: bool,
    create: bool = False,
) -> None:
    from trunkline.services.ai.desk import Desk

    with (
        offline(SERVICE, data_dir=data_dir, store=store, create=create) as context,
        context.store.write() as tx,
    ):
        run = work(tx, Desk.of(context))
    if as_json:
        _common.print_json(run)
    else:
        typer.echo(_line(run))


@app.command(help="An agent begins to work on a request of a user.")
def start(
    run: RunId,
    *,
    tenant: Tenant,
    agent: Annotated[str, typer.Option(help="The agent.")],
    user: Annotated[str, typer.Option(help="Who asked.")],
    session: Annotated[str | None, typer.Option(help="The session that it belongs to.")] = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    def work(tx: "Connection", desk: "Desk") -> "Run":
        return desk.start(tx, tenant, run, agent=agent, user=user, session=session)

    _do(data_dir, store, work, as_json=as_json, create=True)


@app.command(help="The agent used a tool.")
def tool(
    run: RunId,
    name: Annotated[str, typer.Argument(metavar="TOOL", help="Which.")],
    *,
    tenant: Tenant,
    duration_ms: Annotated[int, typer.Option(min=0, help="How long it took.")] = 0,
    outcome: Annotated[str, typer.Option(help="success, failure or denied.")] = "success",
    query_id: Annotated[str | None, typer.Option(help="The query that it ran.")] = None,
    key: Key = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.catalogue.events.audit_view import Outcome
    from trunkline.services.ai.desk import ToolCall

    if outcome not in get_args(Outcome):
        raise InvalidInput(f"--outcome {outcome!r}: there are {', '.join(get_args(Outcome))}")
    call = ToolCall(tool=name, outcome=cast("Outcome", outcome), duration_ms=duration_ms, query_id=query_id)
    _do(data_dir, store, lambda tx, desk: desk.call_tool(tx, tenant, run, call, key=key), as_json=as_json)


@app.command(help="The agent called a language model.")
def tokens(
    run: RunId,
    *,
    tenant: Tenant,
    provider: Annotated[str, typer.Option(help="Whose model, as a short code.")],
    model: Annotated[str, typer.Option(help="The model.")],
    input_: Annotated[int, typer.Option("--input", min=0, help="Tokens that went in.")],
    output: Annotated[int, typer.Option("--output", min=0, help="Tokens that came out.")],
    cached: Annotated[int, typer.Option(min=0, help="Of the input, those from a cache.")] = 0,
    calls: Annotated[int, typer.Option(min=1, help="Calls that this sums up.")] = 1,
    key: Key = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.ai.desk import Tokens

    used = Tokens(provider=provider, model=model, input=input_, output=output, cached=cached, calls=calls)
    _do(data_dir, store, lambda tx, desk: desk.use_tokens(tx, tenant, run, used, key=key), as_json=as_json)


@app.command(help="The run ended with an answer.")
def complete(
    run: RunId,
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    _do(data_dir, store, lambda tx, desk: desk.complete(tx, tenant, run), as_json=as_json)


@app.command(help="The run ended without an answer.")
def fail(
    run: RunId,
    *,
    tenant: Tenant,
    code: Annotated[str, typer.Option(help="Why, as a short code.")],
    message: Annotated[str, typer.Option(help="Why, for people.")],
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    def work(tx: "Connection", desk: "Desk") -> "Run":
        return desk.fail(tx, tenant, run, error_code=code, message=message)

    _do(data_dir, store, work, as_json=as_json)


@app.command(help="Show a run and its steps.")
def show(
    run: RunId,
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._tables import new_table, print_table
    from trunkline.services.ai import queries
    from trunkline.services.ai.desk import get

    with offline(SERVICE, data_dir=data_dir, store=store) as context, context.store.read() as tx:
        found = get(tx, tenant, run)
        steps = queries.steps(tx, tenant, run)
    if as_json:
        _common.print_json({"run": found, "steps": steps})
        return
    typer.echo(_line(found))
    table = new_table("step", "time", "what", "input", "output", right=("step", "input", "output"))
    for step in steps:
        what = step.tool or f"{step.provider}/{step.model}"
        counts = ("-" if count is None else f"{count:,}" for count in (step.input_tokens, step.output_tokens))
        table.add_row(str(step.step), f"{step.at:%Y-%m-%dT%H:%M:%SZ}", what, *counts)
    print_table(table)


@app.command("list", help="List a tenant's runs, the newest first.")
def list_(
    *,
    tenant: Tenant,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 50,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.ai import queries

    with offline(SERVICE, data_dir=data_dir, store=store) as context, context.store.read() as tx:
        found = queries.runs(tx, tenant, limit=limit)
    if as_json:
        _common.print_json(found)
        return
    for one in found:
        typer.echo(_line(one))


def _line(run: "Run") -> str:
    return (
        f"run {run.run_id} of {run.agent_id} for {run.user_id}: {run.state}, "
        f"{_common.counted(run.steps, 'step')}, {run.input_tokens:,} tokens in, {run.output_tokens:,} out"
    )
