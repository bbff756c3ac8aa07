"""`trunkline assets`: the catalog of models and assets, on the catalog service's store."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
import typer

from trunkline.cli import _common
from trunkline.cli._audit_input import parse_moment
from trunkline.cli._common import AsJson, DataDir
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trunkline.services.catalog.views import AssetView, ChangeView

SERVICE: Final = "catalog-service"
PAGE_MAX: Final = 1_000

Tenant = Annotated[str, typer.Option("--tenant", help="Whose assets.")]
Urn = Annotated[str, typer.Argument(help="Such as urn:table:sales.orders, or a table as SQL names it.")]
Limit = Annotated[int, typer.Option(min=1, max=PAGE_MAX, help="Lines on a page.")]
After = Annotated[str | None, typer.Option(metavar="CURSOR", help="Go on after the page before.")]
Depth = Annotated[int, typer.Option(help="So many steps.")]
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The catalog's database, if not in DIR.")
]

SEARCH_HELP: Final = """Find assets by words and by what is known of them; all conditions must hold.

[bold]Examples[/bold]

  trunkline assets search "churn*" --kind model_version --stage production --tenant acme

  trunkline assets search --quarantined --tenant acme
"""
SHOW_HELP: Final = """Show an asset with all that is known of it, now or at a time.

[bold]Examples[/bold]

  trunkline assets show urn:table:sales.orders --tenant acme

  trunkline assets show urn:model_version:churn/3 --as-of 2026-11-01T00:00:00Z --tenant acme
"""
HISTORY_HELP: Final = """Show every version of an asset's facets, newest first.

[bold]Example[/bold]

  trunkline assets history urn:model:churn --facet alias:champion --tenant acme
"""
DIFF_HELP: Final = """Show in what two assets differ, or one asset at two times.

[bold]Examples[/bold]

  trunkline assets diff urn:model_version:churn/2 urn:model_version:churn/3 --tenant acme

  trunkline assets diff urn:model:churn --from 2026-11-01T00:00:00Z --tenant acme
"""
LINEAGE_HELP: Final = """Show what an asset depends on (--up), or what depends on it.

[bold]Example[/bold]

  trunkline assets lineage urn:table:sales.orders --depth 5 --tenant acme
"""
MODELS_HELP: Final = """Show which models depend on a table, where MODEL@ALIAS points, or a model's versions.

[bold]Examples[/bold]

  trunkline assets models --on urn:table:sales.orders --tenant acme

  trunkline assets models churn@champion --tenant acme
"""
PENDING_HELP: Final = """List models and versions that events speak of and nobody has registered.

[bold]Example[/bold]

  trunkline assets pending --tenant acme
"""
REJECTED_HELP: Final = """List parts of events that the catalog could not keep, and why.

[bold]Example[/bold]

  trunkline assets rejected --tenant acme --json
"""
REINDEX_HELP: Final = """Make the text index anew, from what the catalog knows.

[bold]Example[/bold]

  trunkline assets reindex
"""

app = _common.new_app(
    "Search the catalog: assets, their history, what depends on them.", no_args_is_help=True
)


@app.command(help=SEARCH_HELP)
def search(
    text: Annotated[str | None, typer.Argument(help="Words; `*` at a word's end: any ending.")] = None,
    *,
    tenant: Tenant,
    kind: Annotated[str | None, typer.Option(help="table, column, model, model_version, policy.")] = None,
    prefix: Annotated[str | None, typer.Option(metavar="URN", help="URNs that begin so.")] = None,
    stage: Annotated[str | None, typer.Option(help="Versions in this stage, such as production.")] = None,
    tag: Annotated[str | None, typer.Option(metavar="KEY[=VALUE]", help="With this tag.")] = None,
    classification: Annotated[str | None, typer.Option(help="Of this class of data.")] = None,
    owner: Annotated[str | None, typer.Option(help="Models of this owner.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Versions that answer there.")] = None,
    quarantined: Annotated[
        bool | None, typer.Option("--quarantined/--not-quarantined", help="Kept from readers, or not.")
    ] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted ones, too.")] = False,
    limit: Limit = 50,
    after: After = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.catalog import search as finding

    wanted = finding.Search(
        text=text,
        kind=kind,
        prefix=prefix,
        stage=stage,
        tag=tag,
        classification=classification,
        owner=owner,
        endpoint=endpoint,
        quarantined=quarantined,
        deleted=deleted,
    )
    with _catalog(data_dir, store) as tx:
        page = finding.search(tx, tenant, wanted, limit=limit, after=after)
    lines = [
        (
            one.urn,
            one.state,
            one.stage or "",
            one.classification or "",
            (one.quarantine and "quarantined") or "",
        )
        for one in page.items
    ]
    _show(page, lines, following=page.next, as_json=as_json)


@app.command(help=SHOW_HELP)
def show(
    urn: Urn,
    *,
    tenant: Tenant,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="TIME", help="As it was then.")] = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.catalog import known

    at = parse_moment("--as-of", as_of)
    with _catalog(data_dir, store) as tx:
        found = known.asset(tx, tenant, urn, as_of=at)
    if found is None:
        raise InvalidInput(
            f"{urn}: no such asset is known{_then(at)}; `trunkline assets search` finds assets"
        )
    _show(found, _asset_lines(found), following=None, as_json=as_json)


@app.command(help=HISTORY_HELP)
def history(
    urn: Urn,
    *,
    tenant: Tenant,
    facet: Annotated[str | None, typer.Option(help="Of this facet only.")] = None,
    limit: Limit = 50,
    after: After = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.catalog import changes

    with _catalog(data_dir, store) as tx:
        page = changes.history(tx, tenant, urn, facet=facet, limit=limit, after=after)
    _show(page, map(_change_line, page.items), following=page.next, as_json=as_json)


@app.command(help=DIFF_HELP)
def diff(
    left: Urn,
    right: Annotated[str | None, typer.Argument(help="The same asset unless given.")] = None,
    *,
    tenant: Tenant,
    time_from: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="LEFT as it was then.")
    ] = None,
    time_to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="RIGHT as it was then.")] = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.catalog import changes

    left_at, right_at = parse_moment("--from", time_from), parse_moment("--to", time_to)
    if right is None and left_at is None and right_at is None:
        raise InvalidInput("nothing to compare: give a second asset, or --from and --to")
    with _catalog(data_dir, store) as tx:
        found = changes.diff(tx, tenant, left, right or left, left_at=left_at, right_at=right_at)
    lines = [(one.facet, _json(one.left), _json(one.right)) for one in found]
    _show(found, lines, following=None, as_json=as_json)


@app.command(help=LINEAGE_HELP)
def lineage(
    urn: Urn,
    *,
    tenant: Tenant,
    up: Annotated[bool, typer.Option("--up", help="What it depends on.")] = False,
    depth: Depth = 5,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.catalog import lineage as tracing

    direction: Literal["up", "down"] = "up" if up else "down"
    with _catalog(data_dir, store) as tx:
        found = tracing.lineage(tx, tenant, urn, direction=direction, depth=depth)
    lines = [(f"{'  ' * node.depth}{node.urn}", node.state) for node in found.nodes]
    _show(found, lines, following=None, as_json=as_json)
    if found.truncated:
        _common.note(f"there is more: only the {tracing.EDGES_MAX} nearest dependencies are shown")


@app.command(help=MODELS_HELP)
def models(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL[@ALIAS]", help="A model, or an alias.")
    ] = None,
    *,
    on: Annotated[str | None, typer.Option("--on", metavar="URN", help="Models that depend on it.")] = None,
    depth: Depth = 5,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.catalog import models as asking

    if (model is None) == (on is None):
        raise InvalidInput("give either a model, MODEL@ALIAS, or --on an asset")
    with _catalog(data_dir, store) as tx:
        if model is not None and "@" in model:
            alias = asking.resolve(tx, tenant, model)
            line = (alias.urn, "pending: the version is not known" if alias.pending else "")
            _show(alias, [line], following=None, as_json=as_json)
            return
        if on is not None:
            found = asking.depending_on(tx, tenant, on, depth=depth)
        else:
            found = asking.versions(tx, tenant, str(model))
    lines = [
        (f"{one.model} {one.version}", one.stage or "", ", ".join(one.aliases), ", ".join(one.endpoints))
        for one in found
    ]
    _show(found, lines, following=None, as_json=as_json)


@app.command(help=PENDING_HELP)
def pending(
    *,
    tenant: Tenant,
    limit: Limit = 50,
    after: After = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.catalog import pending as waiting

    with _catalog(data_dir, store) as tx:
        page = waiting.pending(tx, tenant, limit=limit, after=after)
    lines = [(one.urn, "; ".join(one.referred_by)) for one in page.items]
    _show(page, lines, following=page.next, as_json=as_json)


@app.command(help=REJECTED_HELP)
def rejected(
    *,
    tenant: Tenant,
    limit: Limit = 50,
    after: After = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.catalog import pending as waiting

    with _catalog(data_dir, store) as tx:
        page = waiting.rejected(tx, tenant, limit=limit, after=after)
    lines = [(_time(one.time), one.urn, one.facet, one.reason, one.event_id) for one in page.items]
    _show(page, lines, following=page.next, as_json=as_json)


@app.command(help=REINDEX_HELP)
def reindex(
    *,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._offline import offline
    from trunkline.services.catalog import text_index

    with offline(SERVICE, data_dir=data_dir, store=store) as context, context.store.write() as tx:
        number = text_index.rebuild(tx)
    if as_json:
        _common.print_json({"assets": number})
    else:
        typer.echo(f"{_common.counted(number, 'asset')} indexed")


@contextmanager
def _catalog(data_dir: Path, store: str | None) -> "Iterator[Connection]":
    from trunkline.cli._offline import offline

    with offline(SERVICE, data_dir=data_dir, store=store) as context, context.store.read() as tx:
        yield tx


def _show(shown: object, lines: Any, *, following: str | None, as_json: bool) -> None:
    """The answer as JSON, or as tab-separated lines."""
    if as_json:
        _common.print_json(shown)
        return
    any_line = False
    for line in lines:
        any_line = True
        typer.echo("\t".join(line))
    if not any_line:
        _common.note("nothing found")
    if following is not None:
        _common.note(f"more: --after {following}")


def _asset_lines(asset: "AssetView") -> Iterator[tuple[str, ...]]:
    yield (asset.urn, asset.state, f"first seen {_time(asset.first_seen)}")
    for badge in asset.badges:
        yield (f"  {badge.kind}", badge.name, badge.mode, "in force" if badge.in_force else "not in force")
    for facet in asset.facets:
        yield (f"  {facet.name}", _json(facet.value), _time(facet.time))


def _change_line(change: "ChangeView") -> tuple[str, ...]:
    verb = "removed" if change.removed else "set"
    return (_time(change.time), change.facet, verb, _json(change.value), change.event_id)


def _json(value: object) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _then(at: datetime | None) -> str:
    return "" if at is None else f" at {_time(at)}"
