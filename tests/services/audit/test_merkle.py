"""The tree against the vectors of RFC 6962's reference code, an independent implementation and itself."""

from hashlib import sha256

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.services.audit import merkle
from trunkline.services.audit.tiles import TileAt, TileTree, partial_tiles, tile_nodes

# The leaves and roots that the reference implementation of RFC 6962 tests itself with.
REFERENCE_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
REFERENCE_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaves(count: int) -> list[bytes]:
    return [merkle.hash_leaf(str(number).encode()) for number in range(count)]


def reader(hashes: list[bytes]) -> merkle.NodeReader:
    return lambda level, index: merkle.Frontier(hashes[index << level : (index + 1) << level]).root()


def test_roots_are_those_of_the_rfc_6962_reference_vectors() -> None:
    frontier = merkle.Frontier()
    assert frontier.root() == sha256(b"").digest()
    for leaf, root in zip(REFERENCE_LEAVES, REFERENCE_ROOTS, strict=True):
        frontier.append(merkle.hash_leaf(leaf))
        assert frontier.root().hex() == root


def test_roots_and_proofs_are_those_of_an_independent_implementation() -> None:
    oracle = pymerkle.InmemoryTree(algorithm="sha256")
    frontier = merkle.Frontier()
    for number in range(70):
        oracle.append_entry(str(number).encode())
        frontier.append(merkle.hash_leaf(str(number).encode()))
        assert frontier.root() == oracle.get_root()
    hashes = leaves(70)
    for size in (1, 2, 3, 7, 8, 33, 64, 70):
        for index in range(size):
            proof = merkle.inclusion_proof(reader(hashes), index, size)
            theirs = oracle.prove_inclusion(index + 1, size)
            assert {*proof, hashes[index]} == set(theirs.path)
            theirs.verify(hashes[index], oracle.get_root(size))


@given(st.integers(1, 600), st.data())
def test_every_inclusion_proof_verifies_and_a_changed_one_does_not(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    hashes = leaves(size)
    root = merkle.Frontier(hashes).root()
    proof = merkle.inclusion_proof(reader(hashes), index, size)
    assert merkle.verify_inclusion(hashes[index], index, size, root=root, proof=proof)
    assert not merkle.verify_inclusion(merkle.hash_leaf(b"other"), index, size, root=root, proof=proof)
    assert not merkle.verify_inclusion(hashes[index], index, size, root=root, proof=[*proof, root])
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        bent = [*proof[:at], merkle.hash_leaf(proof[at]), *proof[at + 1 :]]
        assert not merkle.verify_inclusion(hashes[index], index, size, root=root, proof=bent)
        assert not merkle.verify_inclusion(hashes[index], index, size, root=root, proof=proof[:-1])


@given(st.integers(1, 600), st.data())
def test_every_consistency_proof_verifies_and_a_rewritten_past_does_not(
    size: int, data: st.DataObject
) -> None:
    old_size = data.draw(st.integers(1, size))
    hashes = leaves(size)
    old_root, root = merkle.Frontier(hashes[:old_size]).root(), merkle.Frontier(hashes).root()
    proof = merkle.consistency_proof(reader(hashes), old_size, size)
    assert merkle.verify_consistency(old_size, size, old_root=old_root, root=root, proof=proof)
    forged = merkle.Frontier([merkle.hash_leaf(b"forged"), *hashes[1:old_size]]).root()
    assert not merkle.verify_consistency(old_size, size, old_root=forged, root=root, proof=proof)
    assert not merkle.verify_consistency(old_size, size, old_root=old_root, root=forged, proof=proof)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_a_proof_for_a_leaf_that_is_not_there_is_refused(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        merkle.inclusion_proof(reader(leaves(5)), index, size)
    assert not merkle.verify_inclusion(b"", index, size, root=b"", proof=[])


@pytest.mark.parametrize("old_size", [0, 6])
def test_a_consistency_proof_between_sizes_out_of_order_is_refused(old_size: int) -> None:
    with pytest.raises(ValueError, match="proper prefix"):
        merkle.consistency_proof(reader(leaves(5)), old_size, 5)
    assert not merkle.verify_consistency(old_size, 5, old_root=b"", root=b"", proof=[])


@given(st.lists(st.integers(0, 700), min_size=1, max_size=6))
def test_a_tree_resumed_from_its_tiles_after_each_batch_is_the_tree_built_at_once(batches: list[int]) -> None:
    stored: dict[TileAt, bytes] = {}
    hashes = leaves(sum(batches))
    size = 0
    for batch in batches:
        tree = TileTree(size, {at: stored[at] for at in partial_tiles(size)})
        for leaf in hashes[size : size + batch]:
            tree.append(leaf)
        size += batch
        stored |= {at: bytes(tile) for at, tile in tree.changed.items()}
        assert tree.root() == merkle.Frontier(hashes[:size]).root()
    read = tile_nodes(lambda at: stored.get(at, b""))
    assert merkle.range_root(read, 0, size) == merkle.Frontier(hashes).root()


def test_a_tree_of_many_tile_levels_proves_its_leaves() -> None:
    size = 256 * 256 + 300
    hashes = leaves(size)
    tree = TileTree()
    for leaf in hashes:
        tree.append(leaf)
    assert {at.level for at in tree.changed} == {0, 1, 2}
    read = tile_nodes(lambda at: bytes(tree.changed[at]))
    for index in (0, 255, 256, 65535, 65536, size - 1):
        proof = merkle.inclusion_proof(read, index, size)
        assert merkle.verify_inclusion(hashes[index], index, size, root=tree.root(), proof=proof)


def test_a_tile_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 96"):
        TileTree(3, {TileAt(0, 0): bytes(64)})
    with pytest.raises(ValueError, match="missing or too short"):
        tile_nodes(lambda _at: b"")(0, 0)
