"""`trunkline token`: a token for the HTTP APIs of the services."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, DataDir

HELP: Final = """Issue a token for the services' HTTP APIs, signed with this machine's key.

What a caller may see is in the token, never in a parameter: its tenant's data and nothing else. A scope that
no service knows is refused, and so is one that is good for nothing in the hands of this tenant.

[bold]Examples[/bold]

  trunkline token --tenant acme
  trunkline token --tenant system --scope operator --hours 1
"""

app = _common.new_app(HELP)


@app.command(help=HELP)
def token(
    *,
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="Whose data it gives access to.")],
    subject: Annotated[str, typer.Option(help="Who will use it.")] = "cli",
    scope: Annotated[list[str] | None, typer.Option(help="What it is good for beside reading.")] = None,
    hours: Annotated[float, typer.Option(min=0.01, max=2160, help="How long it is valid.")] = 12,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.kit.api.scopes import check_scopes
    from trunkline.services.kit.api.tokens import issue, load_or_create_key

    check_scopes(scope or (), tenant=tenant)
    key = load_or_create_key(_common.token_key_path(data_dir))
    now, lifetime = datetime.now(UTC), timedelta(hours=hours)
    issued = issue(key, tenant=tenant, subject=subject, scopes=scope or (), now=now, lifetime=lifetime)
    if as_json:
        _common.print_json({"token": issued, "tenant": tenant, "expires_at": now + lifetime})
    else:
        typer.echo(issued)
