"""A proof for one entry: with the public key and nothing else of ours, anyone can check that it is in the
ledger.

The proof holds the entry's leaf hash, its way up the tree (RFC 9162) and the signed checkpoint that the way
ends at. The entry itself is included, so that the leaf can be computed from it.
"""

import msgspec
from sqlalchemy import Connection

from trunkline.errors import InvalidInput, TrunklineError
from trunkline.services.audit.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from trunkline.services.audit.entry import Entry, entry_commitment, entry_leaf, is_erased
from trunkline.services.audit.ledger import read_tile
from trunkline.services.audit.merkle import inclusion_proof, verify_inclusion
from trunkline.services.audit.note import BadNote, Verifier, split_note
from trunkline.services.audit.tiles import tile_nodes


class NotCovered(TrunklineError):  # noqa: N818 - named for the state of the entry
    """There is no checkpoint over the entry yet."""


class BadProof(TrunklineError):  # noqa: N818 - named for what it says of the proof
    """The proof does not show what it claims."""


class InclusionProof(msgspec.Struct, frozen=True):
    """JSON form: bytes are base64, `checkpoint` is the signed note as text."""

    entry: Entry
    leaf: bytes
    path: list[bytes]
    checkpoint: str


def prove(tx: Connection, entry: Entry, *, newest: bytes | None) -> InclusionProof:
    """The proof that the entry is under `newest`, the newest of its tenant's checkpoint notes, if there is
    one.

    Raises `NotCovered` if it is not and `TrunklineError` if the stored tree is damaged.
    """
    checkpoint = None if newest is None else parse_checkpoint(split_note(newest)[0])
    if newest is None or checkpoint is None or checkpoint.size <= entry.seq:
        raise NotCovered(
            f"entry {entry.seq} of tenant {entry.tenant} is not under a checkpoint yet; "
            "the running service signs one within a second"
        )
    try:
        path = inclusion_proof(tile_nodes(read_tile(tx, entry.tenant)), entry.seq, checkpoint.size)
    except ValueError as error:
        raise TrunklineError(
            f"the tree of tenant {entry.tenant} is damaged: {error}; run `audit verify`"
        ) from error
    return InclusionProof(entry=entry, leaf=entry_leaf(entry), path=path, checkpoint=newest.decode())


def check_proof(proof: InclusionProof, verifier: Verifier) -> Checkpoint:
    """The checkpoint that the entry is under. Raises `BadProof` unless everything fits together."""
    entry = proof.entry
    try:
        checkpoint = open_checkpoint(proof.checkpoint.encode(), verifier, tenant=entry.tenant)
    except BadNote as error:
        raise BadProof(f"the checkpoint cannot be trusted: {error}") from error
    # Of an entry whose content was erased, the leaf proves the envelope and what was committed to.
    honest = is_erased(entry) or entry_commitment(entry) == entry.commitment
    if not honest or entry_leaf(entry) != proof.leaf:
        raise BadProof("the entry is not the one that the leaf hash was made of")
    if not verify_inclusion(proof.leaf, entry.seq, checkpoint.size, root=checkpoint.root, proof=proof.path):
        raise BadProof("the path does not lead from the leaf to the checkpoint's root")
    return checkpoint


def read_proof(content: bytes, name: str) -> InclusionProof:
    """The proof in a file's content. Raises `InvalidInput`, which calls the file `name`."""
    try:
        return msgspec.json.decode(content, type=InclusionProof)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{name}: not a proof of `trunkline audit proof`: {error}") from error
