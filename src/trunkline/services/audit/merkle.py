"""The Merkle tree of RFC 9162 section 2 (the tree of RFC 6962) over SHA-256: append, root, proofs,
verification.

Pure: hashes come in, hashes go out. A tree of `size` leaves is described by the roots of its perfect
subtrees, largest first; that list is all an appender needs (`Frontier`), and every proof is made of such
roots, which `NodeReader` fetches from wherever they are kept.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of the tree without leaves (RFC 9162 section 2.1.1)."""

NodeReader: TypeAlias = Callable[[int, int], bytes]
"""`(level, index)` to the root of the perfect subtree that is number `index` of height `level`."""


def hash_leaf(data: bytes) -> bytes:
    """The hash of a leaf; the prefix 0x00 keeps leaves and nodes apart."""
    return sha256(b"\x00" + data).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """The hash of an interior node; the prefix 0x01 keeps leaves and nodes apart."""
    return sha256(b"\x01" + left + right).digest()


def fold(subtrees: Sequence[bytes]) -> bytes:
    """The root over adjoining perfect subtrees, given largest first."""
    if not subtrees:
        return EMPTY_ROOT
    root = subtrees[-1]
    for left in reversed(subtrees[:-1]):
        root = hash_node(left, root)
    return root


class Frontier:
    """An append-only tree that remembers only the roots of its perfect subtrees, one a bit of `size`."""

    __slots__ = ("size", "subtrees")

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.size = 0
        self.subtrees: list[bytes] = []
        for leaf in leaves:
            self.append(leaf)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash; costs one node hash on average."""
        subtrees = self.subtrees
        self.size = remaining = self.size + 1
        while not remaining & 1:
            leaf = sha256(b"\x01" + subtrees.pop() + leaf).digest()
            remaining >>= 1
        subtrees.append(leaf)

    def root(self) -> bytes:
        """The root of the tree as it stands."""
        return fold(self.subtrees)


def range_root(read: NodeReader, start: int, end: int) -> bytes:
    """The root over leaves `[start, end)`; `start` is a multiple of the range's largest power of two."""
    subtrees: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        subtrees.append(read(level, start >> level))
        start += 1 << level
    return fold(subtrees)


def inclusion_proof(read: NodeReader, index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]) of RFC 9162 section 2.1.3.1: the siblings from the leaf up to the root.

    Raises `ValueError` when there is no leaf `index` in a tree of `size`.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size} leaves")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(range_root(read, middle, end))
            end = middle
        else:
            path.append(range_root(read, start, middle))
            start = middle
    path.reverse()
    return path


def consistency_proof(read: NodeReader, old_size: int, size: int) -> list[bytes]:
    """PROOF(old_size, D[size]) of RFC 9162 section 2.1.4.1: that the old tree is a prefix of the new one.

    Raises `ValueError` unless `0 < old_size <= size`.
    """
    if not 0 < old_size <= size:
        raise ValueError(f"a tree of {old_size} leaves cannot be a proper prefix of one of {size}")
    proof: list[bytes] = []
    start, end = 0, size
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            proof.append(range_root(read, middle, end))
            end = middle
        else:
            proof.append(range_root(read, start, middle))
            start = middle
    if start:  # Otherwise the old tree is itself a perfect subtree, whose root the verifier holds.
        proof.append(range_root(read, start, end))
    proof.reverse()
    return proof


def root_from_inclusion(leaf: bytes, index: int, size: int, *, proof: Sequence[bytes]) -> bytes | None:
    """The root that `proof` leads to from a leaf hash (RFC 9162 section 2.1.3.2), None if nowhere."""
    if not 0 <= index < size:
        return None
    node, last, root = index, size - 1, leaf
    for sibling in proof:
        if last == 0 or len(sibling) != HASH_BYTES:
            return None
        if node & 1 or node == last:
            root = hash_node(sibling, root)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            root = hash_node(root, sibling)
        node >>= 1
        last >>= 1
    return root if last == 0 else None


def verify_inclusion(leaf: bytes, index: int, size: int, *, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that leaf hash `leaf` is number `index` of the tree with this size and root."""
    return root_from_inclusion(leaf, index, size, proof=proof) == root


def verify_consistency(
    old_size: int, size: int, *, old_root: bytes, root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether `proof` shows that the old tree is a prefix of the new one (RFC 9162 section 2.1.4.2)."""
    if not 0 < old_size <= size or any(len(node) != HASH_BYTES for node in proof):
        return False
    if old_size == size:
        return not proof and old_root == root
    path = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    if not path:
        return False
    node, last = old_size - 1, size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = hash_node(sibling, old), hash_node(sibling, new)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            new = hash_node(new, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and old == old_root and new == root


def _split(width: int) -> int:
    """The largest power of two smaller than `width`, which is at least 2."""
    return 1 << ((width - 1).bit_length() - 1)
