"""Signs a checkpoint for every tenant whose ledger has grown, beside the running consumer.

It reads heads through a connection of its own and so only ever sees what is committed; it needs no hook in
the consumer, catches up by itself after a crash, and costs one sync a tenant and interval however many
batches commit. Before it signs, it checks that the tree still has the last checkpoint's root at that
checkpoint's size: it does not sign a ledger whose signed past was rewritten, nor one whose checkpoints are
not those of the register.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, select

from trunkline.client.errors import StoreUnavailable
from trunkline.client.log import Log
from trunkline.client.store import Store
from trunkline.errors import TrunklineError, Unavailable
from trunkline.services.audit.checkpoint import (
    FIRST,
    Checkpoint,
    CheckpointFiles,
    note_hash,
    open_checkpoint,
    sign_checkpoint,
)
from trunkline.services.audit.ledger import read_tile
from trunkline.services.audit.merkle import range_root
from trunkline.services.audit.note import BadNote, Signer
from trunkline.services.audit.register import Register
from trunkline.services.audit.tables import AUDIT_HEAD
from trunkline.services.audit.tiles import tile_nodes

INTERVAL_S: Final = 0.25
"""The longest that a committed entry stays without a checkpoint while the service runs."""
RETRY_S: Final = 2.0
"""The wait after a pass that found the store or the disk unavailable."""
FULL_PASS_EVERY: Final = 240
"""Of a minute's passes, one looks at every head: a clock that was set back hides none for longer."""
OVERLAP_US: Final = 60_000_000
"""How far back heads are looked at again: transactions commit in another order than they read the clock."""

_ADVICE: Final = (
    "see `trunkline audit verify`, then restore the store, or move the checkpoints away to begin a new ledger"
)

_log = Log(__name__)


class LedgerRewritten(TrunklineError):  # noqa: N818 - named for what was found
    """The store contradicts a checkpoint that was signed for it; what is there now is not signed."""


class Checkpointer:
    """Keeps the checkpoint files up to the store's heads."""

    def __init__(
        self,
        store: Store,
        files: CheckpointFiles,
        signer: Signer,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._files = files
        self._signer = signer
        self._now = now
        self._signed: dict[str, int] = {}
        self._register = Register()
        self._register_read = 0
        self._seen_us = 0
        self._passes = 0

    def catch_up(self) -> int:
        """Sign each head that is ahead of its last checkpoint; returns how many. Raises `LedgerRewritten`."""
        written = 0
        is_full = self._passes % FULL_PASS_EVERY == 0
        since_us = -OVERLAP_US if is_full else self._seen_us - OVERLAP_US
        # The lock comes before the snapshot, which so contains whatever another instance has signed.
        with self._files.locked(), self._entering() as entered, self._store.read() as tx:
            heads = tx.execute(select(AUDIT_HEAD).where(AUDIT_HEAD.c.updated_us >= since_us)).all()
            if is_full:
                self._require_all_there({head.tenant for head in heads})
            for head in heads:
                if head.size != self._signed.get(head.tenant, 0):
                    if (note := self._sign(tx, head.tenant, head.size, root=head.root)) is not None:
                        entered[head.tenant] = note_hash(note)
                        written += 1
                    self._signed[head.tenant] = head.size
        self._passes += 1
        self._seen_us = max([self._seen_us, *(head.updated_us for head in heads)])
        return written

    def _sign(self, tx: Connection, tenant: str, size: int, *, root: bytes) -> bytes | None:
        """Add a checkpoint, unless another instance has signed as much already; returns its note."""
        newest = self._files.newest(tenant)
        previous = FIRST
        if newest is None:
            if tenant in self._register.newest:
                raise LedgerRewritten(f"{self._files.path(tenant)}: its checkpoints are gone; {_ADVICE}")
        else:
            try:
                last = open_checkpoint(newest, self._signer.verifier, tenant=tenant)
            except BadNote as error:
                path = self._files.path(tenant)
                raise LedgerRewritten(
                    f"{path}: the last checkpoint cannot be trusted: {error}; {_ADVICE}"
                ) from error
            if last.size > size:
                raise LedgerRewritten(
                    f"tenant {tenant} has {size} entries, {last.size} were signed; {_ADVICE}"
                )
            self._require_consistent(tx, last)
            previous = note_hash(newest)
            self._require_registered(last, previous)
            if last.size == size:
                return None
        checkpoint = Checkpoint(tenant=tenant, size=size, root=root, time=self._now(), previous=previous)
        note = sign_checkpoint(checkpoint, self._signer)
        self._files.append(tenant, note)
        return note

    @contextmanager
    def _entering(self) -> Iterator[dict[str, str]]:
        """Reads what is new in the register, and enters what is put into the result, after an error too.

        The caller holds the lock.
        """
        self._read_register()
        entered: dict[str, str] = {}
        try:
            yield entered
        finally:
            self._enter(entered)

    def _enter(self, checkpoints: Mapping[str, str]) -> None:
        if checkpoints:
            notes = self._register.sign(checkpoints, self._signer, now=self._now())
            self._files.register.append(*notes)
            self._read_register()

    def _read_register(self) -> None:
        """Takes what this and other instances have entered since the last time."""
        file = self._files.register
        notes, end = file.notes_after(self._register_read)
        if end < self._register_read:
            raise LedgerRewritten(f"{file.path}: was cut; {_ADVICE}")
        try:
            self._register.extend(notes, self._signer.verifier)
        except BadNote as error:
            raise LedgerRewritten(f"{file.path}: {error}; {_ADVICE}") from error
        self._register_read = end

    def _require_registered(self, last: Checkpoint, digest: str) -> None:
        """The last checkpoint is in the register, or only the one before it, which a crash explains."""
        known = self._register.newest.get(last.tenant, FIRST)
        if digest == known:
            return
        if last.previous != known:
            path = self._files.path(last.tenant)
            raise LedgerRewritten(f"{path}: the checkpoints are not those of the register; {_ADVICE}")
        self._enter({last.tenant: digest})

    def _require_all_there(self, tenants: set[str]) -> None:
        files = set(self._files.tenants())
        if missing := sorted((files | self._register.newest.keys()) - tenants):
            raise LedgerRewritten(
                f"tenant {missing[0]} has checkpoints in {self._files.directory} but no entries; {_ADVICE}"
            )
        if missing := sorted(self._register.newest.keys() - files):
            raise LedgerRewritten(f"{self._files.path(missing[0])}: its checkpoints are gone; {_ADVICE}")

    def _require_consistent(self, tx: Connection, last: Checkpoint) -> None:
        try:
            root = range_root(tile_nodes(read_tile(tx, last.tenant)), 0, last.size)
        except ValueError:
            root = b""
        if root != last.root:
            raise LedgerRewritten(
                f"tenant {last.tenant}: the first {last.size} entries are not those signed; {_ADVICE}"
            )


class CheckpointThread:
    """Runs a checkpointer until told to stop; `on_failure` is called from its thread if it cannot go on."""

    def __init__(self, checkpointer: Checkpointer, *, on_failure: Callable[[TrunklineError], None]) -> None:
        self._checkpointer = checkpointer
        self._on_failure = on_failure
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit-checkpoints", daemon=True)

    def start(self) -> None:
        """Check the ledger against its last checkpoints and catch up, then go on beside the caller.

        Raises `LedgerRewritten`, so that a service on a tampered store does not start, and `Unavailable`.
        """
        try:
            self._checkpointer.catch_up()
        except OSError as error:
            raise Unavailable(f"checkpoints cannot be written: {error}; fix that and start again") from error
        self._thread.start()

    def stop(self) -> None:
        """Sign what is left and end. Safe to call twice and before `start`."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        wait = INTERVAL_S
        while True:
            stopping = self._stop.wait(wait)
            wait = INTERVAL_S
            try:
                self._checkpointer.catch_up()
            except (StoreUnavailable, OSError) as error:
                # Nothing is lost by waiting: the next pass signs what this one could not.
                wait = RETRY_S
                _log.warning("checkpoints have to wait", error=str(error), wait=wait)
            except TrunklineError as error:
                self._on_failure(error)
                return
            except Exception as error:  # noqa: BLE001 - the service must not go on unsigned, whatever the cause
                self._on_failure(TrunklineError(f"checkpoints cannot go on: {error}; {_ADVICE}"))
                return
            if stopping:
                return
