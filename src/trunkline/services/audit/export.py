"""A ledger as JSON lines that can be verified away from the store, with a checkpoint file and the public key.

The first line of each tenant is a header (`format`, tenant, size), the lines after it are its entries in
order, as `entry.Entry` with bytes in base64. Entries are exported whole, with key, headers, body and salt, so
that every leaf can be computed again; the file is as confidential as the ledger.
"""

from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from trunkline.errors import InvalidInput
from trunkline.services.audit.check import Findings, LedgerCheck, judge_notes
from trunkline.services.audit.checkpoint import parse_checkpoint
from trunkline.services.audit.entry import Entry
from trunkline.services.audit.note import BadNote, Verifier, split_note
from trunkline.services.audit.queries import ENTRY_COLUMNS, heads
from trunkline.services.audit.tables import AUDIT_EVENT
from trunkline.services.audit.verify import PAGE_ROWS, Report, TenantReport

FORMAT: Final = "trunkline-audit-export-1"


class Header(msgspec.Struct, frozen=True, tag_field="format", tag=FORMAT, forbid_unknown_fields=True):
    """Begins a tenant's part of the export."""

    tenant: str
    size: int


_encoder: Final = msgspec.json.Encoder()
_header_decoder: Final = msgspec.json.Decoder(Header)
_entry_decoder: Final = msgspec.json.Decoder(Entry)


def export_lines(tx: Connection, *, tenant: str | None = None) -> Iterator[bytes]:
    """The export, line by line, each with its line feed; all ledgers or one tenant's."""
    for head in heads(tx, tenant=tenant):
        yield _encoder.encode(Header(head.tenant, head.size)) + b"\n"
        for entry in _entries(tx, head.tenant):
            yield _encoder.encode(entry) + b"\n"


def verify_export(lines: Iterable[bytes], notes: Sequence[bytes], verifier: Verifier) -> Report:
    """Verify an export against the notes of one or more tenants' checkpoint files.

    Raises `InvalidInput` for a line that is not of an export, or for notes that are no checkpoints.
    """
    began = perf_counter()
    by_tenant = _by_tenant(notes)
    findings = Findings()
    reports: list[TenantReport] = []
    check: LedgerCheck | None = None
    for number, line in enumerate(lines, 1):
        parsed = _parse(line, number)
        if isinstance(parsed, Header):
            if check is not None:
                reports.append(_finished(check, findings))
            checkpoints = judge_notes(
                by_tenant.get(parsed.tenant, []), verifier, tenant=parsed.tenant, findings=findings
            )
            check = LedgerCheck(
                parsed.tenant, parsed.size, checkpoints, findings, leaf_in_tree=lambda _seq: None
            )
        elif check is None:
            raise InvalidInput(f"line {number}: an entry before any header; this is not a whole export")
        elif parsed.tenant != check.tenant:
            findings.add(
                check.tenant, "inserted", f"line {number}: an entry of another tenant", event_id=parsed.id
            )
        else:
            check.entry(parsed)
            check.tree.changed.clear()
    if check is None:
        raise InvalidInput("the export is empty")
    reports.append(_finished(check, findings))
    return Report.of(reports, findings, seconds=perf_counter() - began)


def _entries(tx: Connection, tenant: str) -> Iterator[Entry]:
    table = AUDIT_EVENT.c
    last = -1
    while rows := tx.execute(
        select(*ENTRY_COLUMNS)
        .where(table.tenant == tenant, table.seq > last)
        .order_by(table.seq)
        .limit(PAGE_ROWS)
    ).all():
        yield from (Entry(*row) for row in rows)
        last = rows[-1].seq


def _parse(line: bytes, number: int) -> Header | Entry:
    try:
        return (_header_decoder if line.startswith(b'{"format"') else _entry_decoder).decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"line {number}: not a line of an audit export: {error}") from error


def _finished(check: LedgerCheck, findings: Findings) -> TenantReport:
    check.finish()
    if check.entries and not check.checkpoints:
        detail = "no checkpoint that can be trusted was given for this tenant: nothing proves its entries"
        findings.add(check.tenant, "unsigned", detail)
    return TenantReport(check.tenant, check.entries, check.checkpoints, check.covered)


def _by_tenant(notes: Sequence[bytes]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for number, note in enumerate(notes, 1):
        try:
            tenant = parse_checkpoint(split_note(note)[0]).tenant
        except BadNote as error:
            raise InvalidInput(f"checkpoint {number}: {error}") from error
        found.setdefault(tenant, []).append(note)
    return found
