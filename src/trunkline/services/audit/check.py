"""Judges one tenant's ledger, entry by entry. Pure: a store and an export file are checked by the same rules.

Every entry is compared with the leaf that the tree has for it, where a tree is given; the tree is compared
with the signed checkpoints. So one bad row is named by itself and does not put every later checkpoint into
doubt, and a tree that was bent to fit a bad row is caught by the next checkpoint.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from trunkline.services.audit.checkpoint import FIRST, Checkpoint, note_hash, open_checkpoint
from trunkline.services.audit.entry import ERASED, Entry, entry_commitment, entry_leaf, is_erased
from trunkline.services.audit.note import BadNote, Verifier
from trunkline.services.audit.tiles import TileTree

FINDINGS_MAX: Final = 1_000
"""A tenant's findings that are kept; beyond it they are only counted."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong. `problem` is a stable word for programs, `detail` a sentence for people.

    `seq` is the first entry concerned, `event_id` is given where the entry itself is at hand.
    """

    tenant: str
    seq: int | None
    event_id: str | None
    problem: str
    detail: str


class Findings:
    """Collects findings, bounded."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.count = 0

    def add(
        self, tenant: str, problem: str, detail: str, *, seq: object = None, event_id: object = None
    ) -> None:
        self.count += 1
        if len(self.kept) < FINDINGS_MAX:
            # What a bent page holds in the place of a number or a text stays out of the report.
            place = seq if isinstance(seq, int) else None
            name = event_id if isinstance(event_id, str) else None
            self.kept.append(Finding(tenant, place, name, problem, detail))


def judge_notes(
    notes: Sequence[bytes], verifier: Verifier, *, tenant: str, findings: Findings
) -> list[Checkpoint]:
    """The checkpoints that the key signed, in order; bad signatures and broken links become findings."""
    checkpoints: list[Checkpoint] = []
    previous, size = FIRST, 0
    for number, note in enumerate(notes, 1):
        try:
            checkpoint = open_checkpoint(note, verifier, tenant=tenant)
        except BadNote as error:
            findings.add(tenant, "checkpoint-signature", f"checkpoint {number} cannot be trusted: {error}")
        else:
            if checkpoint.previous != previous:
                findings.add(
                    tenant,
                    "checkpoint-chain",
                    f"checkpoint {number} (size {checkpoint.size}) does not follow the one before it: "
                    "checkpoints were removed, changed or put in another order",
                )
            if checkpoint.size < size:
                findings.add(
                    tenant,
                    "checkpoint-chain",
                    f"checkpoint {number} has size {checkpoint.size}, the one before it {size}",
                )
            size = max(size, checkpoint.size)
            checkpoints.append(checkpoint)
        previous = note_hash(note)
    return checkpoints


def judge_registered(
    notes: Sequence[bytes],
    *,
    tenant: str,
    before: Mapping[str, str],
    after: Mapping[str, str],
    findings: Findings,
) -> None:
    """Compares a tenant's notes with the register (`Register.newest`), read before and after the notes were.

    The running service writes a checkpoint and then enters it: what was in the register before is in the
    file, and of what is in the file only the newest may not be in the register after.
    """
    digests = [note_hash(note) for note in notes]
    if tenant in before and before[tenant] not in digests:
        detail = (
            "the register has a newer checkpoint than the tenant's file: checkpoints were removed or changed"
        )
        findings.add(tenant, "checkpoint-missing", detail)
        return
    known = after.get(tenant)
    if known is not None and known not in digests:
        return  # It was signed after the file was read.
    late = len(digests) - (0 if known is None else digests.index(known) + 1)
    if late > 1:
        detail = f"the {late} newest checkpoints are not in the register: it was cut"
        findings.add(tenant, "checkpoint-unregistered", detail)


class LedgerCheck:
    """Takes a tenant's entries in order of `seq`, then says in `finish` what the whole adds up to.

    `size` is how many leaves the tree has. `leaf_in_tree` gives the stored leaf hash of a place, or None
    where it is not known; the entry's own then counts.
    """

    def __init__(
        self,
        tenant: str,
        size: int,
        checkpoints: Sequence[Checkpoint],
        findings: Findings,
        *,
        leaf_in_tree: Callable[[int], bytes | None],
    ) -> None:
        self.tenant = tenant
        self.tree = TileTree()
        self.entries = 0
        self.checkpoints = len(checkpoints)
        self.covered = 0
        """The size of the newest checkpoint that the tree agrees with."""
        self.next = 0
        """The place of the next entry."""
        self.sound = True
        """Every leaf so far is known; otherwise the tree ends before the first unknown one."""
        self._size = size
        self._findings = findings
        self._leaf_in_tree = leaf_in_tree
        self._without_content: dict[bytes | None, tuple[Entry, int]] = {}
        """By their key, entries whose content is gone: the first one, and how many."""
        self._erased: set[bytes | None] = set()
        """The keys whose entries were erased, as the ledger itself says."""
        self._due = sorted(checkpoints, key=lambda checkpoint: checkpoint.size, reverse=True)
        self._rewritten = False
        self._judge_checkpoints()

    def entry(self, entry: Entry) -> None:
        """The next entry that the ledger has."""
        self.entries += 1
        leaf = self._leaf_of(entry)
        if not self._takes_place(entry.seq, event_id=entry.id):
            return
        in_tree = self._leaf_in_tree(entry.seq)
        if in_tree is not None and leaf is not None and in_tree != leaf:
            self._changed(entry, "the entry is not the one that was recorded at this place")
        self._append(in_tree or leaf)

    def unreadable(self, seq: int, reason: str) -> None:
        """The entry at this place is there and cannot be read."""
        self.entries += 1
        self._findings.add(self.tenant, "changed", f"the entry cannot be read: {reason}", seq=seq)
        if self._takes_place(seq, event_id=None):
            self._append(self._leaf_in_tree(seq))

    def finish(self) -> None:
        """All entries are in: judges what should be there and is not."""
        self._missing(until=self._size)
        for key, (first, number) in self._without_content.items():
            if key not in self._erased:
                several = f", and that of {number - 1} more," if number > 1 else ""
                self._changed(first, f"its content{several} is gone, and no entry says that it was erased")
        if self._due and (newest := self._due[0]).size > self._size:
            self._findings.add(
                self.tenant,
                "truncated",
                f"entries {self._size} to {newest.size - 1} were signed at {newest.time:%Y-%m-%dT%H:%M:%SZ} "
                "and are gone",
                seq=self._size,
            )

    def _takes_place(self, seq: object, *, event_id: object) -> bool:
        """Whether the entry is the next one, after noting those that are missing before it."""
        if not isinstance(seq, int):
            detail = f"the entry claims the place {seq!r}"
        elif seq >= self._size:
            detail = f"the entry is beyond the {self._size} that were recorded"
        elif seq < self.next:
            detail = "the entry claims a place that another one has"
        else:
            self._missing(until=seq)
            return True
        self._findings.add(self.tenant, "inserted", detail, seq=seq, event_id=event_id)
        return False

    def _missing(self, *, until: int) -> None:
        first = self.next
        if first >= until:
            return
        places = f"entry {first} is" if until - first == 1 else f"entries {first} to {until - 1} are"
        self._findings.add(self.tenant, "missing", f"{places} missing", seq=first)
        while self.sound and self.next < until:
            self._append(self._leaf_in_tree(self.next))
        self.next = until

    def _leaf_of(self, entry: Entry) -> bytes | None:
        """The leaf by the stored commitment, so that a bent body is not reported as a bent envelope too."""
        try:
            if entry.salt == b"" and is_erased(entry):
                first, number = self._without_content.get(entry.key, (entry, 0))
                self._without_content[entry.key] = (first, number + 1)
            elif entry_commitment(entry) != entry.commitment:
                self._changed(entry, "the body, or what was read out of it, is not what was recorded")
            elif entry.type == ERASED:
                self._erased.add(entry.key)
            return entry_leaf(entry)
        except (TypeError, AttributeError, ValueError, struct.error) as error:
            self._changed(entry, f"a column holds what cannot be in it: {error}")
            return None

    def _changed(self, entry: Entry, detail: str) -> None:
        self._findings.add(self.tenant, "changed", detail, seq=entry.seq, event_id=entry.id)

    def _append(self, leaf: bytes | None) -> None:
        self.next += 1
        if leaf is None:
            self.sound = False
        if leaf is None or not self.sound:
            return
        self.tree.append(leaf)
        if self._due and self._due[-1].size <= self.tree.size:
            self._judge_checkpoints()

    def _judge_checkpoints(self) -> None:
        """Those at the size that the tree has right now."""
        while self._due and self._due[-1].size <= self.tree.size:
            checkpoint = self._due.pop()
            if self._rewritten:
                continue
            if checkpoint.root == self.tree.root():
                self.covered = checkpoint.size
                continue
            self._rewritten = True
            self._findings.add(
                self.tenant,
                "rewritten",
                f"entries {self.covered} to {checkpoint.size - 1} are not those that were signed at "
                f"{checkpoint.time:%Y-%m-%dT%H:%M:%SZ}: at least one was changed and the tree made to fit",
                seq=self.covered,
            )
