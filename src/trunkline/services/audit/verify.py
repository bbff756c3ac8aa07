"""Verifies whole ledgers: every entry, every tile of every tree, every head and every checkpoint.

Not judged: the text index and the database's own indexes, which help a search and are no evidence. Not seen
by anybody: a forger who can write the store *and* append entries in the service's own way before the service
signs; what is under a checkpoint cannot be changed without its being found, what is not yet under one can.
`TenantReport.covered` says how much is.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Self

import msgspec
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from trunkline.client.store import Store
from trunkline.errors import InvalidInput
from trunkline.services.audit.check import Finding, Findings, LedgerCheck, judge_notes, judge_registered
from trunkline.services.audit.checkpoint import Checkpoint, CheckpointFiles
from trunkline.services.audit.entry import Entry
from trunkline.services.audit.handler import unix_us
from trunkline.services.audit.ledger import read_tile
from trunkline.services.audit.merkle import HASH_BYTES
from trunkline.services.audit.note import BadNote, Verifier
from trunkline.services.audit.queries import ENTRY_COLUMNS
from trunkline.services.audit.register import Register
from trunkline.services.audit.tables import AUDIT_EVENT, AUDIT_HEAD, AUDIT_TILE
from trunkline.services.audit.tiles import TILE_BYTES, TILE_HEIGHT, TILE_WIDTH, TileAt

PAGE_ROWS: Final = 4 * TILE_WIDTH
"""Rows read at once: enough to make a query's cost vanish, few enough to hold large bodies."""
ALL_TENANTS: Final = "*"
"""Stands for the tenant in a finding about the whole database."""
UNSIGNED_US_MAX: Final = 60_000_000
"""How long a ledger may be without its first checkpoint; a running service signs it within a second."""
_BEFORE_ALL: Final = -(2**63)


class TenantReport(msgspec.Struct, frozen=True):
    """One ledger. The first `covered` of its `entries` are under a signed checkpoint that they agree with."""

    tenant: str
    entries: int
    checkpoints: int
    covered: int


class Report(msgspec.Struct, frozen=True):
    """The verdict. `findings` is bounded; `finding_count` is not."""

    ok: bool
    entries: int
    seconds: float
    finding_count: int
    findings: list[Finding]
    tenants: list[TenantReport]

    @classmethod
    def of(cls, tenants: list[TenantReport], findings: Findings, *, seconds: float) -> Self:
        """The verdict on what was found in these ledgers."""
        return cls(
            ok=not findings.count,
            entries=sum(report.entries for report in tenants),
            seconds=round(seconds, 6),
            finding_count=findings.count,
            findings=findings.kept,
            tenants=tenants,
        )


def verify_store(
    store: Store,
    files: CheckpointFiles,
    verifier: Verifier,
    *,
    tenant: str | None = None,
    progress: Callable[[int], None] = lambda _entries: None,
    now_us: Callable[[], int] = unix_us,
) -> Report:
    """Verify all ledgers, or one tenant's. The service may go on writing meanwhile: this sees one moment.

    `progress` is told how many more entries were read, page by page. Raises
    `InvalidInput` for a tenant that there is no trace of, and `StoreUnavailable`.
    """
    began = perf_counter()
    findings = Findings()
    reports: list[TenantReport] = []
    # Notes are read before the snapshot is taken, which so has every entry that they speak of.
    signed = _read_signed(files, verifier, findings)
    # Reading damaged pages can fail as late as at the end of the transaction.
    with _reading(ALL_TENANTS, store, findings), store.read() as tx:
        for name in _chosen(tenant, sorted(_tenants(tx, store, findings) | signed.tenants)):
            checkpoints = signed.judge(name, verifier, findings)
            with _reading(name, store, findings):
                check = LedgerCheck(
                    name, _size(tx, name), checkpoints, findings, leaf_in_tree=_LeafReader(tx, name)
                )
                _check_tenant(tx, check, findings, progress=progress)
                _check_signed(tx, check, findings, now_us=now_us())
                reports.append(TenantReport(name, check.entries, check.checkpoints, check.covered))
    return Report.of(reports, findings, seconds=perf_counter() - began)


def _chosen(tenant: str | None, names: list[str]) -> list[str]:
    if tenant is None:
        return names
    if tenant not in names:
        raise InvalidInput(f"tenant {tenant}: nothing of it is in the ledger, and it has no checkpoints")
    return [tenant]


@dataclass(frozen=True, slots=True)
class _Signed:
    """What is kept outside the database: each tenant's notes, and the register before and after reading them.

    The register is None where it cannot be trusted, which is a finding of its own.
    """

    notes: Mapping[str, list[bytes]]
    register: tuple[Mapping[str, str], Mapping[str, str]] | None

    @property
    def tenants(self) -> set[str]:
        return {*self.notes, *(self.register[0] if self.register else ())}

    def judge(self, tenant: str, verifier: Verifier, findings: Findings) -> list[Checkpoint]:
        """The tenant's checkpoints that can be trusted."""
        notes = self.notes.get(tenant, [])
        checkpoints = judge_notes(notes, verifier, tenant=tenant, findings=findings)
        if self.register is not None:
            before, after = self.register
            judge_registered(notes, tenant=tenant, before=before, after=after, findings=findings)
        return checkpoints


def _read_signed(files: CheckpointFiles, verifier: Verifier, findings: Findings) -> _Signed:
    register = Register()
    try:
        entered, end = files.register.notes_after(0)
        register.extend(entered, verifier)
        before = dict(register.newest)
        notes = {name: files.notes(name) for name in files.tenants()}
        register.extend(files.register.notes_after(end)[0], verifier)
    except BadNote as error:
        findings.add(ALL_TENANTS, "register", f"{files.register.path}: {error}")
        return _Signed({name: files.notes(name) for name in files.tenants()}, None)
    return _Signed(notes, (before, register.newest))


class _LeafReader:
    """The leaf hashes of a stored tree, read tile by tile in rising order."""

    def __init__(self, tx: Connection, tenant: str) -> None:
        self._read = read_tile(tx, tenant)
        self._index = -1
        self._hashes = b""

    def __call__(self, seq: int) -> bytes | None:
        index, place = divmod(seq, TILE_WIDTH)
        if index != self._index:
            self._index, self._hashes = index, self._read(TileAt(0, index))
        leaf = self._hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES]
        return leaf if len(leaf) == HASH_BYTES else None


def _check_tenant(
    tx: Connection, check: LedgerCheck, findings: Findings, *, progress: Callable[[int], None]
) -> None:
    tiles, entries, last = 0, 0, _BEFORE_ALL
    while (newest := _feed_page(tx, check, after=last)) is not None:
        progress(check.entries - entries)
        entries = check.entries
        tiles += _check_tiles(tx, check, findings, finished_only=True)
        last = newest
    check.finish()
    tiles += _check_tiles(tx, check, findings, finished_only=False)
    stored = tx.scalar(
        select(func.count()).select_from(AUDIT_TILE).where(AUDIT_TILE.c.tenant == check.tenant)
    )
    if check.sound and stored != tiles:
        findings.add(check.tenant, "tree", f"the tree is kept in {stored} tiles, its entries make {tiles}")
    _check_head(tx, check, findings)


def _feed_page(tx: Connection, check: LedgerCheck, *, after: int) -> int | None:
    """Judge the rows of one page; returns the last place in it, or None when there are no more."""
    table = AUDIT_EVENT.c
    rest = (table.tenant == check.tenant, table.seq > after)
    try:
        rows = tx.execute(select(*ENTRY_COLUMNS).where(*rest).order_by(table.seq).limit(PAGE_ROWS)).all()
    except DBAPIError:
        # Some row of the page cannot be read, for instance because a text in it is not UTF-8 any more.
        places = tx.scalars(select(table.seq).where(*rest).order_by(table.seq).limit(PAGE_ROWS)).all()
        for seq in places:
            _feed_row(tx, check, seq)
        return places[-1] if places else None
    for row in rows:
        check.entry(Entry(*row))
    if not rows:
        return None
    last = rows[-1].seq
    if isinstance(last, int) and last > after:
        return last
    # The row contradicts the index that led to it; only the index leads on.
    page = select(table.seq).where(*rest).order_by(table.seq).limit(PAGE_ROWS).subquery()
    return int(tx.execute(select(func.max(page.c.seq))).scalar_one())


def _feed_row(tx: Connection, check: LedgerCheck, seq: int) -> None:
    table = AUDIT_EVENT.c
    query = select(*ENTRY_COLUMNS).where(table.tenant == check.tenant, table.seq == seq)
    try:
        rows = tx.execute(query).all()
    except DBAPIError as error:
        check.unreadable(seq, str(error.orig))
    else:
        for row in rows:
            check.entry(Entry(*row))


def _check_tiles(tx: Connection, check: LedgerCheck, findings: Findings, *, finished_only: bool) -> int:
    """Compare what the entries make with what is stored; returns how many tiles that were."""
    read = read_tile(tx, check.tenant)
    changed = check.tree.changed
    due = [at for at, hashes in changed.items() if not finished_only or len(hashes) == TILE_BYTES]
    for at in due:
        expected = changed.pop(at)
        if read(at) != expected:
            findings.add(
                check.tenant,
                "tree",
                f"tile {at.level}/{at.tile} of the tree is not what the entries make",
                seq=at.tile << (TILE_HEIGHT * (at.level + 1)),
            )
    return len(due)


def _check_head(tx: Connection, check: LedgerCheck, findings: Findings) -> None:
    size = check.next
    head = tx.execute(select(AUDIT_HEAD).where(AUDIT_HEAD.c.tenant == check.tenant)).first()
    if head is None:
        if size or check.entries:
            findings.add(check.tenant, "head", f"the head of a ledger of {size} entries is missing")
    elif head.size != size:
        findings.add(check.tenant, "head", f"the head says {head.size} entries, the tree has {size}")
    elif check.sound and head.root != check.tree.root():
        findings.add(check.tenant, "head", f"the head's root is not that of its {size} entries")


def _check_signed(tx: Connection, check: LedgerCheck, findings: Findings, *, now_us: int) -> None:
    """Finds a ledger that nothing signed speaks of, though the service has had the time to sign it."""
    if check.checkpoints:
        return
    table = AUDIT_EVENT.c
    oldest = select(table.ingested_us).where(table.tenant == check.tenant).order_by(table.seq).limit(1)
    recorded_us = tx.scalar(oldest)
    if isinstance(recorded_us, int) and now_us - recorded_us > UNSIGNED_US_MAX:
        detail = (
            "no checkpoint that can be trusted is there: nothing proves the entries; restore the checkpoints"
        )
        findings.add(check.tenant, "unsigned", detail)


def _size(tx: Connection, tenant: str) -> int:
    """How many entries were recorded: what the tree says, unless head and rows agree that it lost leaves."""
    tiles, events = AUDIT_TILE.c, AUDIT_EVENT.c
    hashes = func.coalesce(func.sum(func.length(tiles.hashes)), 0)
    in_tree = tx.execute(select(hashes).where(tiles.tenant == tenant, tiles.level == 0)).scalar_one()
    leaves = in_tree // HASH_BYTES
    head = tx.scalar(select(AUDIT_HEAD.c.size).where(AUDIT_HEAD.c.tenant == tenant))
    last = tx.scalar(select(func.max(events.seq)).where(events.tenant == tenant))
    if isinstance(head, int) and leaves < head and last == head - 1:
        return head
    return int(leaves)


def _tenants(tx: Connection, store: Store, findings: Findings) -> set[str]:
    """Whoever appears anywhere in the store."""
    found: set[str] = set()
    for tenant in (AUDIT_HEAD.c.tenant, AUDIT_EVENT.c.tenant, AUDIT_TILE.c.tenant):
        with _reading(ALL_TENANTS, store, findings):
            for name in tx.scalars(select(tenant).distinct()):
                # A bent page can hold what the schema forbids.
                if isinstance(name, str):
                    found.add(name)
                else:
                    findings.add(ALL_TENANTS, "unreadable", f"a tenant's name is {name!r}")
    return found


@contextmanager
def _reading(tenant: str, store: Store, findings: Findings) -> Iterator[None]:
    """Makes a finding of a database that is damaged. Raises `StoreUnavailable` for one that is away."""
    try:
        yield
    except DBAPIError as error:
        if unavailable := store.unavailable(error):
            raise unavailable from error
        findings.add(tenant, "unreadable", f"the database cannot read this ledger: {error.orig}")
    except UnicodeDecodeError as error:
        # SQLite quotes a bent schema in its message, and the driver cannot make a text of that.
        findings.add(tenant, "unreadable", f"the database is damaged, and cannot be said how: {error.reason}")
