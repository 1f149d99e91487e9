"""The Merkle tree of RFC 6962: hashes, and proofs that an entry is in a log and that a log only grew.

Verification follows RFC 9162, 2.1.3.2 and 2.1.4.2. Hashes are 32 bytes (SHA-256).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_sha256 = hashlib.sha256
EMPTY_ROOT = _sha256(b"").digest()
HASH_BYTES = 32


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry.

    Examples
    --------
    >>> leaf_hash(b"").hex()[:8]
    '6e340b9c'
    """
    return _sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two neighbours."""
    return _sha256(b"\1" + left + right).digest()


class Edge:
    """The right edge of a growing tree: enough to append and to know the root, 32 bytes for each power of two.

    Parameters
    ----------
    size
        Number of entries.
    hashes
        Roots of the full subtrees that make it up, largest first.

    Examples
    --------
    >>> edge = Edge()
    >>> edge.append(leaf_hash(b"one"))
    >>> edge.root() == leaf_hash(b"one")
    True
    """

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)

    def append(self, leaf: bytes) -> None:
        """Add the hash of an entry."""
        n = self.size
        while n & 1:
            leaf = node_hash(self.hashes.pop(), leaf)
            n >>= 1
        self.hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root."""
        if not self.hashes:
            return EMPTY_ROOT
        left = iter(reversed(self.hashes))
        root = next(left)
        for each in left:
            root = _sha256(b"\1" + each + root).digest()
        return root

    def to_bytes(self) -> bytes:
        """Return its hashes as one text of bytes, for `from_bytes`."""
        return b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Edge:
        """Return an edge that was stored.

        Raises
        ------
        ValueError
            If a tree of this size has another number of hashes.
        """
        if len(data) != HASH_BYTES * size.bit_count():
            msg = f"the edge of a tree of {size} entries has {size.bit_count()} hashes, not {len(data) / HASH_BYTES:g}"
            raise ValueError(msg)
        return cls(size, [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)])


class Tree:
    """All hashes of a tree, to prove things with.

    Parameters
    ----------
    leaves
        Hashes of the entries.

    Attributes
    ----------
    levels
        The hashes of the full subtrees, by height; the leaves first.

    Examples
    --------
    >>> leaves = [leaf_hash(bytes([n])) for n in range(5)]
    >>> tree = Tree(leaves)
    >>> verify_inclusion(leaves[3], 3, 5, tree.inclusion(3), tree.root())
    True
    """

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        level = list(leaves)
        self.levels = [level]
        while len(level) > 1:
            pairs = iter(level)
            level = [_sha256(b"\1" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
            self.levels.append(level)

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self.levels[0])

    def root(self, size: int | None = None) -> bytes:
        """Return the root as it was when there were ``size`` entries; by default as it is."""
        return self._subtree(0, self._checked(size))

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Return the proof that an entry is in the tree of ``size`` entries.

        Raises
        ------
        IndexError
            If it is not.
        """
        end = self._checked(size)
        if not 0 <= index < end:
            msg = f"there is no entry {index} among {end}"
            raise IndexError(msg)
        begin, proof = 0, []
        while end - begin > 1:
            middle = begin + _split(end - begin)
            if index < middle:
                proof.append(self._subtree(middle, end))
                end = middle
            else:
                proof.append(self._subtree(begin, middle))
                begin = middle
        return proof[::-1]

    def consistency(self, first: int, second: int | None = None) -> list[bytes]:
        """Return the proof that the tree of ``second`` entries began as the tree of ``first`` entries."""
        end = self._checked(second)
        first = self._checked(first)
        if first in (0, end):
            return []
        begin, whole, proof = 0, True, []
        while first != end:
            middle = begin + _split(end - begin)
            if first <= middle:
                proof.append(self._subtree(middle, end))
                end = middle
            else:
                proof.append(self._subtree(begin, middle))
                begin, whole = middle, False
        if not whole:
            proof.append(self._subtree(begin, end))
        return proof[::-1]

    def _checked(self, size: int | None) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            msg = f"the tree has {self.size} entries, not {size}"
            raise IndexError(msg)
        return size

    def _subtree(self, begin: int, end: int) -> bytes:
        width = end - begin
        if width == 0:
            return EMPTY_ROOT
        if width & (width - 1) == 0:
            height = width.bit_length() - 1
            return self.levels[height][begin >> height]
        middle = begin + _split(width)
        return node_hash(self._subtree(begin, middle), self._subtree(middle, end))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether a proof shows that an entry is at this place of the tree with this root."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(step, found)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            found = node_hash(found, step)
        place >>= 1
        last >>= 1
    return last == 0 and found == root


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether a proof shows that the second tree began as the first."""
    if not 0 <= first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        return not proof and first_root == EMPTY_ROOT
    steps = list(proof)
    if not steps:
        return False
    if first & (first - 1) == 0:
        steps.insert(0, first_root)
    place, last = first - 1, second - 1
    while place & 1:
        place >>= 1
        last >>= 1
    return _climbed(place, last, steps) == (first_root, second_root)


def _climbed(place: int, last: int, steps: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Return both roots that a proof of consistency leads to, ``None`` if it is too long or too short."""
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return None
        if place & 1 or place == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            new = node_hash(new, step)
        place >>= 1
        last >>= 1
    return (old, new) if last == 0 else None


def _split(width: int) -> int:
    """Return the largest power of two below a width."""
    return 1 << ((width - 1).bit_length() - 1)
