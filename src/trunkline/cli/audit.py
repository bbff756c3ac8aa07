"""`trunkline audit`: search, verify, export and prove the audit ledger."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, get_args

import typer

from trunkline.cli import _common
from trunkline.cli._audit_input import (
    SERVICE,
    entry_types,
    open_file,
    opened_store,
    parse_moment,
    read_file,
    read_notes,
    read_verifier,
    require_known,
)
from trunkline.cli._audit_output import progress_of, show_page, show_report
from trunkline.cli._common import AsJson, DataDir
from trunkline.cli._offline import offline
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from trunkline.services.audit.note import Verifier

StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The audit service's database, if not in DIR.")
]
PublicKey = Annotated[
    Path | None,
    typer.Option(
        "--public-key", metavar="FILE", help="The service's public key, kept where it cannot be replaced."
    ),
]
Tenant = Annotated[str | None, typer.Option("--tenant", help="One tenant only.")]

SEARCH_HELP: Final = """Search the ledger; newest first. All conditions must hold.

[bold]Example[/bold]

  trunkline audit search --tenant acme --action s3.amazonaws.com:GetObject --text "report*"
"""
VERIFY_HELP: Final = """Verify every entry, tree and checkpoint; exit 1 and one line a finding if anything is
wrong.

[bold]Examples[/bold]

  trunkline audit verify --data-dir ./trunkline-data

  trunkline audit verify --offline export.jsonl --checkpoint acme.txt --public-key signing-key.pub
"""
EXPORT_HELP: Final = """Write the ledger as JSON lines that `audit verify --offline` can verify anywhere.

[bold]Example[/bold]

  trunkline audit export --tenant acme --output acme.jsonl
"""
PROOF_HELP: Final = """Prove that an event is in the ledger, or check such a proof with --check.

[bold]Examples[/bold]

  trunkline audit proof 0199a3c4-… > proof.json

  trunkline audit proof --check proof.json --public-key signing-key.pub
"""

HOLD_HELP: Final = """Hold a tenant's entries: they stay readable until the release, also after its end.

[bold]Example[/bold]

  trunkline audit hold acme --by counsel --reason "case 12/345"
"""
RELEASE_HELP: Final = """Release a tenant's entries. If it has ended, they are erased within seconds.

[bold]Example[/bold]

  trunkline audit release acme --by counsel --reason "case closed"
"""

By = Annotated[str, typer.Option("--by", help="Who decides it.")]
Why = Annotated[str, typer.Option("--reason", help="Why; it is recorded in the ledger.")]
HeldTenant = Annotated[str, typer.Argument(help="The tenant.")]

app = _common.new_app("Search, verify, export, prove and hold the audit ledger.", no_args_is_help=True)


@app.command(help=SEARCH_HELP)
def search(
    *,
    tenant: Tenant = None,
    time_from: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Events at or after.")
    ] = None,
    time_to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Events before.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who did it.")] = None,
    action: Annotated[str | None, typer.Option(help="What was done.")] = None,
    resource: Annotated[str | None, typer.Option(help="The id of what it was done to.")] = None,
    resource_type: Annotated[str | None, typer.Option(help="The kind of what it was done to.")] = None,
    outcome: Annotated[str | None, typer.Option(help="success, failure or denied.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="The event type.")] = None,
    correlation: Annotated[str | None, typer.Option(metavar="ID", help="The correlation id.")] = None,
    text: Annotated[
        str | None, typer.Option(help="Words; `*` at a word's end stands for any ending.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Entries on a page.")] = 50,
    after: Annotated[str | None, typer.Option(metavar="CURSOR", help="Go on after the page before.")] = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.catalogue.events.audit_view import Outcome
    from trunkline.services.audit import queries

    require_known("--outcome", outcome, get_args(Outcome))
    wanted = queries.Search(
        tenant=tenant,
        time_from=parse_moment("--from", time_from),
        time_to=parse_moment("--to", time_to),
        actor=actor,
        action=action,
        resource=resource,
        resource_type=resource_type,
        outcome=outcome,
        type=type_,
        correlation_id=correlation,
        text=text,
    )
    with opened_store(data_dir, store) as opened, opened.read() as tx:
        page = queries.search(tx, wanted, limit=limit, after=after)
    if type_ is not None and not page.entries:
        require_known("--type", type_, entry_types())
    if as_json:
        _common.print_json(page)
    else:
        show_page(page)


@app.command(help=VERIFY_HELP)
def verify(
    *,
    tenant: Tenant = None,
    offline: Annotated[
        Path | None,
        typer.Option("--offline", metavar="EXPORT", help="Verify an export instead of the store."),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoint", metavar="FILE", help="The checkpoint file of an exported ledger; repeatable."
        ),
    ] = None,
    public_key: PublicKey = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.audit.app import checkpoint_files
    from trunkline.services.audit.export import verify_export
    from trunkline.services.audit.verify import verify_store

    verifier = read_verifier(data_dir, public_key)
    if offline is not None:
        if not checkpoint:
            raise InvalidInput("--offline needs the signed word to verify against: give --checkpoint FILE")
        with open_file(offline, "rb") as lines:
            report = verify_export(lines, read_notes(checkpoint), verifier)
    else:
        with opened_store(data_dir, store) as opened, progress_of("verifying") as progress:
            report = verify_store(
                opened, checkpoint_files(data_dir), verifier, tenant=tenant, progress=progress
            )
    if as_json:
        _common.print_json(report)
    else:
        show_report(report)
    if not report.ok:
        raise typer.Exit(1)


@app.command(help=EXPORT_HELP)
def export(
    *,
    tenant: Tenant = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of standard output.")
    ] = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.audit.export import export_lines

    lines = 0
    with ExitStack() as open_files:
        opened = open_files.enter_context(opened_store(data_dir, store))
        tx = open_files.enter_context(opened.read())
        file = sys.stdout.buffer if output is None else open_files.enter_context(open_file(output, "wb"))
        for line in export_lines(tx, tenant=tenant):
            file.write(line)
            lines += 1
    if output is not None and as_json:
        _common.print_json({"lines": lines, "output": str(output)})
    else:
        _common.note(f"{_common.counted(lines, 'line')} written to {output or 'standard output'}")


@app.command(help=PROOF_HELP)
def proof(
    event_id: Annotated[str | None, typer.Argument(help="The event's id.")] = None,
    *,
    check: Annotated[Path | None, typer.Option("--check", metavar="FILE", help="Check this proof.")] = None,
    tenant: Tenant = None,
    public_key: PublicKey = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    if (event_id is None) == (check is None):
        raise InvalidInput("give either an event id to prove or --check FILE")
    if check is not None:
        _check(check, read_verifier(data_dir, public_key), as_json=as_json)
    else:
        _prove(str(event_id), tenant, data_dir=data_dir, store=store)


def _prove(event_id: str, tenant: str | None, *, data_dir: Path, store: str | None) -> None:
    from trunkline.services.audit.app import checkpoint_files
    from trunkline.services.audit.proof import prove
    from trunkline.services.audit.queries import find

    # Notes are read before the snapshot is taken, so that it contains what they speak of.
    files = checkpoint_files(data_dir)
    notes = {name: files.newest(name) for name in files.tenants()}
    with opened_store(data_dir, store) as opened, opened.read() as tx:
        entries = find(tx, event_id, tenant=tenant)
        if not entries:
            raise InvalidInput(f"event {event_id}: not in the ledger; `audit search` finds events")
        if len(entries) > 1:
            tenants = ", ".join(sorted({entry.tenant for entry in entries}))
            raise InvalidInput(
                f"event {event_id}: {len(entries)} entries have this id ({tenants}); use --tenant"
            )
        _common.print_json(prove(tx, entries[0], newest=notes.get(entries[0].tenant)))


def _check(path: Path, verifier: "Verifier", *, as_json: bool) -> None:
    from trunkline.services.audit.checkpoint import origin
    from trunkline.services.audit.proof import check_proof, read_proof

    proof = read_proof(read_file(path), str(path))
    checkpoint = check_proof(proof, verifier)
    shown = {
        "ok": True,
        "tenant": checkpoint.tenant,
        "seq": proof.entry.seq,
        "id": proof.entry.id,
        "size": checkpoint.size,
        "signed_at": checkpoint.time,
        "key": verifier.vkey(origin(checkpoint.tenant)),
    }
    if as_json:
        _common.print_json(shown)
    else:
        typer.echo(
            f"proved: event {proof.entry.id} is entry {proof.entry.seq} of tenant {checkpoint.tenant}, "
            f"under the checkpoint of {checkpoint.size} entries signed {checkpoint.time:%Y-%m-%dT%H:%M:%SZ}"
        )


@app.command(help=HOLD_HELP)
def hold(
    tenant: HeldTenant,
    *,
    by: By,
    reason: Why,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.audit.holds import place

    with offline(SERVICE, data_dir=data_dir, store=store) as context, context.store.write() as tx:
        place(tx, tenant, reason=reason, by=by, now=context.wall())
    _held(tenant, held=True, as_json=as_json)


@app.command(help=RELEASE_HELP)
def release(
    tenant: HeldTenant,
    *,
    by: By,
    reason: Why,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.audit import holds as legal_holds

    with offline(SERVICE, data_dir=data_dir, store=store) as context, context.store.write() as tx:
        legal_holds.release(tx, tenant, reason=reason, by=by, now=context.wall())
    _held(tenant, held=False, as_json=as_json)


@app.command(help="List the tenants whose entries are held.")
def holds(
    *, data_dir: DataDir = _common.DEFAULT_DATA_DIR, store: StoreUrl = None, as_json: AsJson = False
) -> None:
    from trunkline.cli._tables import new_table, print_table
    from trunkline.services.audit import holds as legal_holds

    with offline(SERVICE, data_dir=data_dir, store=store) as context, context.store.read() as tx:
        found = legal_holds.holds(tx)
    if as_json:
        _common.print_json(found)
        return
    table = new_table("tenant", "since", "by", "reason")
    for one in found:
        table.add_row(one.tenant, f"{one.placed_at:%Y-%m-%dT%H:%M:%SZ}", one.placed_by, one.reason)
    print_table(table)


def _held(tenant: str, *, held: bool, as_json: bool) -> None:
    if as_json:
        _common.print_json({"tenant": tenant, "held": held})
    else:
        _common.note(f"tenant {tenant} is {'held' if held else 'released'}")
