"""`trunkline query`: run, explain and look up queries, and test policies on those of the past."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from trunkline.cli import _common, _connection
from trunkline.cli._common import AsJson, BootstrapServers, DataDir
from trunkline.cli._connection import ClientProperties

if TYPE_CHECKING:
    from trunkline.cli._query_desk import Desk
    from trunkline.services.query.engine import Request

HELP: Final = """Run queries through the policies of a tenant; explain and look up what they decide.

Without --url a command works on this machine's data, with the policies that the cluster has; events go out
when query-engine runs. With --url it asks a running one.

[bold]Examples[/bold]

  trunkline query run --tenant acme --user u-17 "SELECT count(*) FROM orders"

  trunkline query explain --tenant acme --user u-17 --role analyst "SELECT * FROM customer"
"""
RUN_HELP: Final = """Run one SELECT as a user; `-` reads it from standard input.

The exit code is 3 when a policy denies it; the message says which one, in which revision.

[bold]Example[/bold]

  trunkline query run --tenant acme --user u-17 --team people "SELECT * FROM orders LIMIT 5"
"""
EXPLAIN_HELP: Final = """Show what policies make of a statement, without running it. Exit code 3 if denied.

[bold]Example[/bold]

  trunkline query explain --tenant acme --user u-17 "SELECT * FROM customer"
"""
WHATIF_HELP: Final = """Show which of a tenant's last queries other policies would have decided differently.

FILE holds all policies of the bundle to compare: a list as for `policy publish`, or what
`policy bundle --json` prints.

[bold]Example[/bold]

  trunkline query whatif policies.yaml --tenant acme --last 500
"""
LOG_HELP: Final = """List the queries of a tenant, newest first, and what became of them.

[bold]Example[/bold]

  trunkline query log --tenant acme --state denied
"""

Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Whose data.")]
User = Annotated[str, typer.Option("--user", "-u", help="Who asks.")]
Teams = Annotated[list[str] | None, typer.Option("--team", "--group", help="A team of theirs; repeatable.")]
Roles = Annotated[list[str] | None, typer.Option("--role", help="A role of theirs; repeatable.")]
Origin = Annotated[str, typer.Option("--origin", help="What asks on their behalf, such as dq.")]
Url = Annotated[
    str | None, typer.Option("--url", envvar="TRUNKLINE_QUERY_URL", help="The API of a running query-engine.")
]
Sql = Annotated[str, typer.Argument(metavar="SQL", help="The statement, or `-`.")]
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The query engine's database, if not in DIR.")
]

app = _common.new_app(HELP, no_args_is_help=True)


@app.command(help=RUN_HELP)
def run(
    sql: Sql,
    *,
    tenant: Tenant,
    user: User,
    team: Teams = None,
    role: Roles = None,
    origin: Origin = "user",
    url: Url = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._query_output import show_answer

    request = _request(sql, tenant, user=user, teams=team, roles=role, origin=origin)
    with _desk(url, data_dir, store, bootstrap_servers, client_properties) as desk:
        show_answer(desk.run(request), as_json=as_json)


@app.command(help=EXPLAIN_HELP)
def explain(
    sql: Sql,
    *,
    tenant: Tenant,
    user: User,
    team: Teams = None,
    role: Roles = None,
    origin: Origin = "user",
    url: Url = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._query_output import show_explanation
    from trunkline.services.query.errors import Denied

    request = _request(sql, tenant, user=user, teams=team, roles=role, origin=origin)
    with _desk(url, data_dir, store, bootstrap_servers, client_properties) as desk:
        found = desk.explain(request)
    show_explanation(found, as_json=as_json)
    if not found["allowed"]:
        raise typer.Exit(Denied.exit_code)


@app.command(help=WHATIF_HELP)
def whatif(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON.")],
    *,
    tenant: Tenant,
    last: Annotated[int, typer.Option("--last", min=1, max=1_000, help="How many queries to compare.")] = 100,
    url: Url = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._query_desk import read_policies
    from trunkline.cli._query_output import show_whatif

    policies = read_policies(file)
    with _desk(url, data_dir, store, bootstrap_servers, client_properties) as desk:
        show_whatif(desk.whatif(tenant, policies, last), as_json=as_json)


@app.command(help=LOG_HELP)
def log(
    *,
    tenant: Tenant,
    state: Annotated[
        str | None, typer.Option("--state", help="running, completed, failed, cancelled or denied.")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", "-u", help="Of this user only.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000, help="How many at most.")] = 50,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._offline import offline
    from trunkline.cli._query_desk import SERVICE
    from trunkline.cli._query_output import show_log
    from trunkline.services.query import log as query_log

    with offline(SERVICE, data_dir=data_dir, store=store) as context, context.store.read() as tx:
        found = query_log.entries(tx, tenant, limit=limit, state=state, user=user)
    show_log(found, as_json=as_json)


def _request(
    sql: str, tenant: str, *, user: str, teams: list[str] | None, roles: list[str] | None, origin: str
) -> "Request":
    from trunkline.services.query.cedar import Principal
    from trunkline.services.query.engine import Request

    reader = Principal(user=user, teams=frozenset(teams or ()), roles=frozenset(roles or ()))
    text = sys.stdin.read() if sql == "-" else sql
    return Request(tenant=tenant, reader=reader, sql=text, origin=origin)


@contextmanager
def _desk(
    url: str | None, data_dir: Path, store: str | None, servers: str, properties: Any
) -> "Iterator[Desk]":
    """Where to ask: a running service, or this machine's data under the policies that the cluster has."""
    from trunkline.cli._query_desk import HttpDesk, local_desk

    with ExitStack() as opened:
        if url is not None:
            yield opened.enter_context(HttpDesk(url, _common.token_key_path(data_dir)))
        else:
            connection = _connection.connection(servers, properties=properties)
            yield opened.enter_context(local_desk(data_dir, store, connection))
