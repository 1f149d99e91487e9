"""The log as files: hashes in tiles and entries in bundles, 256 to a file (C2SP tlog-tiles 0.1.0).

A full tile never changes, so that a repository of them only grows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agenttrace_nb.audit.merkle import HASH_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agenttrace_nb.audit.merkle import Tree

WIDTH = 256
_HEIGHT = 8
MAX_ENTRY_BYTES = 2**16 - 1
"""A bundle gives the length of an entry in 16 bits."""


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Return the path of a tile; ``entries`` stands for the level of the bundles.

    Examples
    --------
    >>> tile_path(0, 1234067), tile_path("entries", 0, 5)
    ('tile/0/x001/x234/067', 'tile/entries/000.p/5')
    """
    parts = [f"{number % 1000:03d}"]
    while number >= 1000:  # noqa: PLR2004 - three digits a folder
        number //= 1000
        parts.insert(0, f"x{number % 1000:03d}")
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(parts)}{partial}"


def hash_tiles(tree: Tree, since: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield the tiles of hashes that a tree has and that it had not when it had ``since`` entries: path and bytes."""
    level = 0
    while tree.size >> (level * _HEIGHT):
        hashes = tree.levels[level * _HEIGHT]
        first = (since >> (level * _HEIGHT)) // WIDTH
        for start in range(first * WIDTH, len(hashes), WIDTH):
            tile = hashes[start : start + WIDTH]
            yield tile_path(level, start // WIDTH, len(tile)), b"".join(tile)
        level += 1


def bundles(entries: Sequence[bytes], first: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield bundles of entries: path and bytes.

    Parameters
    ----------
    entries
        The entries from ``first`` on.
    first
        Index of the first of them, a multiple of 256.

    Raises
    ------
    ValueError
        If an entry is longer than 65535 bytes.
    """
    for start in range(0, len(entries), WIDTH):
        part = entries[start : start + WIDTH]
        if any(len(entry) > MAX_ENTRY_BYTES for entry in part):
            msg = f"an entry has at most {MAX_ENTRY_BYTES} bytes"
            raise ValueError(msg)
        data = b"".join(len(entry).to_bytes(2, "big") + entry for entry in part)
        yield tile_path("entries", (first + start) // WIDTH, len(part)), data


def entries_of(bundle: bytes) -> list[bytes]:
    r"""Return the entries of a bundle.

    Raises
    ------
    ValueError
        If it ends in the middle of one.

    Examples
    --------
    >>> entries_of(b"\x00\x02hi")
    [b'hi']
    """
    found, at = [], 0
    while at < len(bundle):
        length = int.from_bytes(bundle[at : at + 2], "big")
        entry = bundle[at + 2 : at + 2 + length]
        if len(bundle) < at + 2 or len(entry) != length:
            msg = "a bundle of entries is cut off"
            raise ValueError(msg)
        found.append(entry)
        at += 2 + length
    return found


def hashes_of(tile: bytes) -> list[bytes]:
    """Return the hashes of a tile.

    Raises
    ------
    ValueError
        If it ends in the middle of one.
    """
    if len(tile) % HASH_BYTES:
        msg = "a tile of hashes is cut off"
        raise ValueError(msg)
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]
