"""`trunkline usage`: what tenants use, against what they may; and where each number comes from."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, DataDir
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from typing import TextIO

    from sqlalchemy import Connection

    from trunkline.services.app import Context
    from trunkline.services.billing.books import Books
    from trunkline.services.billing.terms import Terms

SERVICE: Final = "billing-service"

StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The billing service's database, if not in DIR.")
]
Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Whose usage.")]
Period = Annotated[
    str | None,
    typer.Option("--period", metavar="YYYY-MM", help="A month in UTC; the present one by default."),
]

SHOW_HELP: Final = """Show what a tenant has used in a month, against its limits.

[bold]Examples[/bold]

  trunkline usage show --tenant acme

  trunkline usage show --tenant acme --period 2026-10 --groups
"""
EXPLAIN_HELP: Final = """Name the events behind a number.

[bold]Examples[/bold]

  trunkline usage explain --tenant acme --meter QUERY_EXECUTIONS

  trunkline usage explain --tenant acme --meter LLM_INPUT_TOKENS --group model=analyst-70b --all --json
"""
CLOSE_HELP: Final = """Close a month of a tenant: what arrives for it later becomes a correction.

It closes by itself, too, when nothing can be late any more.

[bold]Example[/bold]

  trunkline usage close --tenant acme --period 2026-10
"""
EXPORT_HELP: Final = """Write a month's usage and its cost as CSV in the form of FOCUS 1.2.

[bold]Example[/bold]

  trunkline usage export --tenant acme --period 2026-10 --output acme.csv
"""
METERS_HELP: Final = """List what is counted, and the settings of billing that are bad and not in force.

[bold]Example[/bold]

  trunkline usage meters
"""
PERIODS_HELP: Final = """List the months of a tenant, and the corrections of months that were closed.

[bold]Example[/bold]

  trunkline usage periods --tenant acme
"""
CHECK_HELP: Final = """Count the stored facts again; exit 1 where a number is not what they come to.

[bold]Example[/bold]

  trunkline usage check --tenant acme
"""
QUARANTINE_HELP: Final = """List usage whose time is not believed, and decide on it.

[bold]Examples[/bold]

  trunkline usage quarantine --tenant acme

  trunkline usage quarantine --accept 17

  trunkline usage quarantine --discard 18 --note "a clock that was a year ahead"
"""

app = _common.new_app("Show, explain, close and export what tenants use.", no_args_is_help=True)


@app.command(help=SHOW_HELP)
def show(
    *,
    tenant: Tenant,
    period: Period = None,
    groups: Annotated[bool, typer.Option("--groups", help="Also what each group comes to.")] = False,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._usage_output import show_groups, show_standing
    from trunkline.services.billing import queries

    month = period or _this_month()
    with _reading(data_dir, store) as (tx, books):
        standing = queries.standing(tx, books, tenant=tenant, period=month)
        usage = queries.usage(tx, books, tenant=tenant, period=month)
    if as_json:
        of_groups = [one for one in usage if one.group]
        _common.print_json(
            {
                "tenant": tenant,
                "period": month,
                "meters": standing,
                **({"groups": of_groups} if groups else {}),
            }
        )
        return
    show_standing(standing, tenant=tenant, period=month)
    if groups:
        show_groups([one for one in usage if one.group])


@app.command(help=EXPLAIN_HELP)
def explain(
    *,
    tenant: Tenant,
    meter: Annotated[str, typer.Option("--meter", "-m", help="Its code, such as QUERY_EXECUTIONS.")],
    period: Period = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", metavar="NAME=VALUE", help="One of its groups; repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Events on a page.")] = 50,
    after: Annotated[int, typer.Option(metavar="NUMBER", min=0, help="Go on after this one.")] = 0,
    everything: Annotated[bool, typer.Option("--all", help="All pages.")] = False,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._usage_output import show_contributions
    from trunkline.services.billing import explaining

    found: list[explaining.Contribution] = []
    place: int | None = after
    with _reading(data_dir, store) as (tx, books):
        while place is not None:
            page = explaining.explain(
                tx,
                books,
                tenant=tenant,
                meter=meter,
                period=period or _this_month(),
                group=explaining.parse_group(group or []),
                after=place,
                limit=1_000 if everything else limit - len(found),
            )
            found += page.contributions
            place = page.next
            if not everything and len(found) == limit:
                break
    if as_json:
        _common.print_json({"events": found, "next": place})
    else:
        show_contributions(found, place)


@app.command(help=CLOSE_HELP)
def close(
    *,
    tenant: Tenant,
    period: Annotated[str, typer.Option("--period", metavar="YYYY-MM", help="A month in UTC.")],
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.billing import closing

    with _context(data_dir, store) as context, context.store.write() as tx:
        closed = closing.close(tx, _books(context, tx), tenant=tenant, period=period, now=datetime.now(UTC))
    if as_json:
        _common.print_json(closed)
    else:
        totals = ", ".join(f"{meter} {total}" for meter, total in closed.totals.items())
        typer.echo(
            f"period {period} of {tenant} is closed: {_common.counted(closed.events, 'event')}; {totals}"
        )
        _common.note(f"it costs {closed.amount} {closed.currency}; digest {closed.digest}")


@app.command(help=EXPORT_HELP)
def export(
    *,
    tenant: Tenant,
    period: Period = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of standard output.")
    ] = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.billing import focus

    with _reading(data_dir, store) as (tx, books):
        rows = focus.rows(tx, books, tenant=tenant, period=period or _this_month())
    if as_json:
        _common.print_json(rows)
        return
    with ExitStack() as opened:
        file = sys.stdout if output is None else opened.enter_context(_new_file(output))
        file.writelines(focus.text(rows))
    _common.note(f"{_common.counted(len(rows), 'charge')} written to {output or 'standard output'}")


@app.command(help=METERS_HELP)
def meters(
    *,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._usage_output import show_meters, show_refused
    from trunkline.services.billing import adopting, queries

    with _context(data_dir, store) as context, context.store.read() as tx:
        terms = _terms(context)
        known = queries.meters(_books(context, tx))
        refused = [*terms.refused, *adopting.compare(tx, terms)[1]]
    if as_json:
        _common.print_json({"meters": known, "refused": refused})
    else:
        show_meters(known)
        show_refused(refused)


@app.command(help=PERIODS_HELP)
def periods(
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._usage_output import show_periods
    from trunkline.services.billing import records

    with _reading(data_dir, store) as (tx, _):
        months = records.months(tx, service=SERVICE, tenant=tenant)
        corrections = records.corrections(tx, tenant=tenant, limit=records.PAGE_MAX)
    if as_json:
        _common.print_json({"tenant": tenant, "periods": months, "corrections": corrections})
    else:
        show_periods(months, corrections)


@app.command(help=CHECK_HELP)
def check(
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="One tenant only.")] = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._usage_output import show_differences
    from trunkline.services.billing import recounting

    with _reading(data_dir, store) as (tx, books):
        months = recounting.months(tx, tenant=tenant)
        codes = books.meters.newest()
        found = [one for month in months for one in recounting.compare(tx, books, month, codes)]
    if as_json:
        _common.print_json({"ok": not found, "periods": len(months), "differences": found})
    else:
        show_differences(found, len(months))
    if found:
        raise typer.Exit(1)


@app.command(help=QUARANTINE_HELP)
def quarantine(
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="One tenant only.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what was decided on.")] = False,
    accept: Annotated[int | None, typer.Option("--accept", metavar="NUMBER", help="Count this one.")] = None,
    discard: Annotated[
        int | None, typer.Option("--discard", metavar="NUMBER", help="Never count this one.")
    ] = None,
    note: Annotated[str | None, typer.Option("--note", help="Why it was discarded.")] = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._usage_output import show_quarantine
    from trunkline.services.billing import quarantine as doubts
    from trunkline.services.billing import records

    if accept is not None and discard is not None:
        raise InvalidInput("give either --accept or --discard")
    if (discard is None) != (note is None):
        raise InvalidInput("give --discard NUMBER together with --note, which says why")
    with _context(data_dir, store) as context:
        if accept is not None or discard is not None:
            with context.store.write() as tx:
                if accept is not None:
                    doubts.accept(tx, _books(context, tx), accept)
                elif discard is not None:
                    doubts.discard(tx, discard, note=note or "")
        with context.store.read() as tx:
            state = None if everything else "waiting"
            found = records.quarantined(tx, tenant=tenant, state=state, limit=records.PAGE_MAX)
    if as_json:
        _common.print_json(found)
    else:
        show_quarantine(found)


@contextmanager
def _context(data_dir: Path, store: str | None) -> "Iterator[Context]":
    from trunkline.cli._offline import offline

    with offline(SERVICE, data_dir=data_dir, store=store) as context:
        yield context


@contextmanager
def _reading(data_dir: Path, store: str | None) -> "Iterator[tuple[Connection, Books]]":
    with _context(data_dir, store) as context, context.store.read() as tx:
        yield tx, _books(context, tx)


def _books(context: "Context", tx: "Connection") -> "Books":
    """Under the settings that the service knew last."""
    from trunkline.services.billing.books import Books, read_meters

    assert context.outbox is not None, "the contract lets billing publish"
    return Books(read_meters(tx), _terms(context), context.outbox)


def _terms(context: "Context") -> "Terms":
    from trunkline.services.billing.terms import read_terms

    return read_terms(context.settings)


@contextmanager
def _new_file(path: Path) -> "Iterator[TextIO]":
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}; choose another --output") from error


def _this_month() -> str:
    return f"{datetime.now(UTC):%Y-%m}"
