"""The tree against published vectors and an independent implementation; proofs that were changed are refused."""

from __future__ import annotations

import pymerkle
import pytest

from agenttrace_nb.audit.merkle import (
    EMPTY_ROOT,
    Edge,
    Tree,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)
from agenttrace_nb.audit.tiles import WIDTH, bundles, entries_of, hash_tiles, hashes_of, tile_path

# The eight entries and roots that implementations of Certificate Transparency test each other with
CT_ENTRIES = [
    b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43", bytes(range(0x50, 0x58)),
    bytes(range(0x60, 0x70)),
]  # fmt: skip
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
MOST = 40
DATA = [b"entry %d" % n for n in range(MOST)]
LEAVES = [leaf_hash(entry) for entry in DATA]


def test_roots_are_those_of_certificate_transparency():
    edge = Edge()
    roots = []
    for entry in CT_ENTRIES:
        edge.append(leaf_hash(entry))
        roots.append(edge.root().hex())
    assert roots == CT_ROOTS
    tree = Tree(map(leaf_hash, CT_ENTRIES))
    assert [tree.root(n).hex() for n in range(1, 9)] == CT_ROOTS
    assert Tree().root() == Edge().root() == EMPTY_ROOT


def test_roots_agree_with_an_independent_implementation():
    other = pymerkle.InmemoryTree()
    tree, edge = Tree(LEAVES), Edge()
    for size, entry in enumerate(DATA, 1):
        other.append_entry(entry)
        edge.append(leaf_hash(entry))
        assert other.get_root(size) == tree.root(size) == edge.root()
        assert Edge.from_bytes(size, edge.to_bytes()).root() == edge.root()


def test_every_inclusion_proof_holds_and_no_changed_one_does():
    tree = Tree(LEAVES)
    for size in range(1, MOST + 1):
        root = tree.root(size)
        for index in range(size):
            proof = tree.inclusion(index, size)
            assert verify_inclusion(LEAVES[index], index, size, proof, root)
            for at in range(len(proof)):
                assert not verify_inclusion(
                    LEAVES[index], index, size, [*proof[:at], bytes(32), *proof[at + 1 :]], root
                )
            assert not verify_inclusion(LEAVES[index], index, size, [*proof, bytes(32)], root)
            assert not (proof and verify_inclusion(LEAVES[index], index, size, proof[:-1], root))
            assert not verify_inclusion(LEAVES[index], index, size, proof, bytes(32))
            assert not (size > 1 and verify_inclusion(LEAVES[index], (index + 1) % size, size, proof, root))
            assert not verify_inclusion(LEAVES[index], size, size, proof, root)


def test_every_consistency_proof_holds_and_no_changed_one_does():
    tree = Tree(LEAVES)
    for second in range(1, MOST + 1):
        for first in range(second + 1):
            proof = tree.consistency(first, second)
            old, new = tree.root(first), tree.root(second)
            assert verify_consistency(first, second, old, new, proof)
            assert not verify_consistency(first, second, old, new, [*proof, bytes(32)])
            if 0 < first < second:
                assert not verify_consistency(first, second, bytes(32), new, proof)
                assert not verify_consistency(first, second, old, bytes(32), proof)
                assert not verify_consistency(first, second, old, new, proof[:-1])
                for at in range(len(proof)):
                    changed = [*proof[:at], bytes(32), *proof[at + 1 :]]
                    assert not verify_consistency(first, second, old, new, changed)
    assert not verify_consistency(3, 2, EMPTY_ROOT, EMPTY_ROOT, [])


def test_what_is_not_in_the_tree_cannot_be_asked_for():
    with pytest.raises(IndexError, match="no entry 40 among 40"):
        Tree(LEAVES).inclusion(40)
    with pytest.raises(IndexError, match="has 40 entries, not 41"):
        Tree(LEAVES).root(41)
    with pytest.raises(ValueError, match="has 2 hashes, not 1"):
        Edge.from_bytes(3, bytes(32))


def test_tiles_hold_the_hashes_of_the_tree_and_only_the_last_ones_change():
    leaves = [leaf_hash(b"%d" % n) for n in range(WIDTH * 2 + 5)]
    tiles = dict(hash_tiles(Tree(leaves)))
    assert sorted(tiles) == ["tile/0/000", "tile/0/001", "tile/0/002.p/5", "tile/1/000.p/2"]
    assert [h for n in ("tile/0/000", "tile/0/001", "tile/0/002.p/5") for h in hashes_of(tiles[n])] == leaves
    assert hashes_of(tiles["tile/1/000.p/2"])[0] == Tree(leaves[:WIDTH]).root()
    assert dict(hash_tiles(Tree(leaves), WIDTH * 2)).keys() == {"tile/0/002.p/5", "tile/1/000.p/2"}


def test_bundles_give_their_entries_back():
    entries = [b"x" * n for n in range(WIDTH + 3)]
    packed = dict(bundles(entries))
    assert list(packed) == ["tile/entries/000", "tile/entries/001.p/3"]
    assert [e for data in packed.values() for e in entries_of(data)] == entries
    assert tile_path("entries", 1234067) == "tile/entries/x001/x234/067"
    with pytest.raises(ValueError, match="cut off"):
        entries_of(packed["tile/entries/000"][:-1])
    with pytest.raises(ValueError, match="at most 65535"):
        list(bundles([b"x" * 65536]))


def test_a_node_is_no_leaf():
    assert node_hash(b"a" * 32, b"b" * 32) != leaf_hash(b"a" * 32 + b"b" * 32)
