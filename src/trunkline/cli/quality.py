"""`trunkline quality`: assets, checks and anomalies, on the data quality service's store."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

import msgspec
import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, DataDir
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trunkline.services.app import Context
    from trunkline.services.quality.options import Options

SERVICE: Final = "data-quality-service"
STATES: Final = ("active", "muted", "proposed")
LIMIT_DEFAULT: Final = 100

Tenant = Annotated[str, typer.Option("--tenant", help="Whose assets.")]
Asset = Annotated[
    str | None, typer.Option("--asset", metavar="URN", help="One asset only; a table also as SQL names it.")
]
Limit = Annotated[int, typer.Option(min=1, max=1_000, help="Lines at most.")]
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The service's database, if not in DIR.")
]

ASSETS_HELP: Final = """List what is watched: when an asset was read and written, and how often it is loaded.

[bold]Example[/bold]

  trunkline quality assets --tenant acme
"""
ANOMALIES_HELP: Final = """List anomalies, newest first.

[bold]Example[/bold]

  trunkline quality anomalies --tenant acme --open
"""
EXPLAIN_HELP: Final = """Say why an anomaly was raised, with the windows before it.

[bold]Example[/bold]

  trunkline quality explain 946edd14-75b8-59ec-8fae-70ad152f19a7 --tenant acme
"""
CHECKS_HELP: Final = """List checks: those that queries take for granted, and those that somebody runs.

[bold]Example[/bold]

  trunkline quality checks --tenant acme --asset main.orders --state proposed
"""
DECIDE_HELP: Final = """Make a check active, mute it, or let it be a proposal again.

[bold]Example[/bold]

  trunkline quality decide 946edd14-75b8-59ec-8fae-70ad152f19a7 active --tenant acme --actor ada
"""

app = _common.new_app("Look at the quality of data: assets, anomalies, checks.", no_args_is_help=True)


@app.command(help=ASSETS_HELP)
def assets(
    *,
    tenant: Tenant,
    limit: Limit = LIMIT_DEFAULT,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.quality import queries

    with _reading(data_dir, store) as (tx, _):
        found = queries.assets(tx, tenant, limit=limit)[:limit]
    columns = ("asset", "reads", "writes", "failures", "last_write_at", "load_due_at", "open_anomalies")
    _show(found, columns, as_json=as_json)


@app.command(help=ANOMALIES_HELP)
def anomalies(
    *,
    tenant: Tenant,
    asset: Asset = None,
    only_open: Annotated[bool, typer.Option("--open", help="Those that are not resolved.")] = False,
    limit: Limit = LIMIT_DEFAULT,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.quality import queries

    with _reading(data_dir, store) as (tx, _):
        found = queries.anomalies(tx, tenant, limit=limit, asset=_urn(asset), only_open=only_open)[:limit]
    columns = ("id", "asset", "metric", "raised_at", "resolved_at", "observed", "score")
    _show(found, columns, as_json=as_json)


@app.command(help=EXPLAIN_HELP)
def explain(
    anomaly_id: Annotated[str, typer.Argument(metavar="ANOMALY", help="The anomaly's id.")],
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.quality import queries

    with _reading(data_dir, store) as (tx, options):
        found = queries.explain(tx, tenant, anomaly_id, options(tenant))
    if as_json:
        _common.print_json(found)
        return
    typer.echo(found.why)
    if found.points:
        columns = ("start", "observed", "expected_low", "expected_high", "deviations", "late_events")
        _show(found.points, columns, as_json=False)


@app.command(help=CHECKS_HELP)
def checks(
    *,
    tenant: Tenant,
    asset: Asset = None,
    state: Annotated[str | None, typer.Option(help="active, muted or proposed.")] = None,
    limit: Limit = LIMIT_DEFAULT,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.quality import queries

    _require_state(state)
    with _reading(data_dir, store) as (tx, options):
        found = queries.checks(tx, tenant, options(tenant), limit=limit, asset=_urn(asset), state=state)[
            :limit
        ]
    columns = ("id", "asset", "kind", "params", "state", "support", "confidence", "last_passed")
    _show(found, columns, as_json=as_json)


@app.command(help=DECIDE_HELP)
def decide(
    check_id: Annotated[str, typer.Argument(metavar="CHECK", help="The check's id.")],
    state: Annotated[str, typer.Argument(help="active, muted or proposed.")],
    *,
    tenant: Tenant,
    actor: Annotated[str, typer.Option(help="Who decides.")],
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.quality import checks as known

    _require_state(state)
    decision = cast("Literal['active', 'muted', 'proposed']", state)
    with _opened(data_dir, store) as context, context.store.write() as tx:
        known.decide(tx, tenant, check_id, decision, by=actor)
    if as_json:
        _common.print_json({"check": check_id, "state": state})
    else:
        typer.echo(f"check {check_id} is {state}")


@contextmanager
def _opened(data_dir: Path, store: str | None) -> "Iterator[Context]":
    from trunkline.cli._offline import offline

    with offline(SERVICE, data_dir=data_dir, store=store) as context:
        yield context


@contextmanager
def _reading(data_dir: Path, store: str | None) -> "Iterator[tuple[Connection, Any]]":
    """A transaction that reads, and the options of a tenant as the service last knew them."""
    from trunkline.services.quality.options import OptionsBook

    with _opened(data_dir, store) as context, context.store.read() as tx:
        book = OptionsBook(context.settings)

        def options(tenant: str) -> "Options":
            return book.of(tenant)

        yield tx, options


def _urn(asset: str | None) -> str | None:
    from trunkline.catalogue.assets import asset_urn

    return None if asset is None else asset_urn(asset)


def _require_state(state: str | None) -> None:
    if state is not None and state not in STATES:
        raise InvalidInput(f"state {state!r}: it is one of {', '.join(STATES)}")


def _show(found: Sequence[Any], columns: tuple[str, ...], *, as_json: bool) -> None:
    from trunkline.cli._tables import new_table, print_table

    if as_json:
        for one in found:
            _common.print_json(one)
        return
    table = new_table(*(column.replace("_", " ") for column in columns))
    for one in found:
        plain = msgspec.to_builtins(one)
        table.add_row(*("" if plain[column] is None else _cell(plain[column]) for column in columns))
    print_table(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else str(value)
