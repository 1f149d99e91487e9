"""Content of conversation size: each item is encoded, redacted and stored once, and referred to from then on."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.encode import encode, encode_each
from agenttrace_nb.journal.events import ITEM, ITEM_LIST

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import RLock

    from agenttrace_nb.journal.file import ItemRow
    from agenttrace_nb.journal.redact import Redactor

INLINE_BYTES = 96
"""Content up to this size stands in the event itself; a row of its own would be larger."""
MAX_KNOWN_ITEMS = 200_000
"""Items that are known to be stored; beyond, all are forgotten, and those that come again are stored again."""
MAX_RECENT_BYTES = 2_000_000


class Items:
    """The items of one journal.

    Parameters
    ----------
    lock
        The journal's.

    Attributes
    ----------
    last
        Id of the last item.
    waiting
        Items that are not in the database yet, by id, in order.
    """

    def __init__(self, lock: RLock) -> None:
        self._lock = lock
        self.last = 0
        self.waiting: dict[int, ItemRow] = {}
        self._known: dict[tuple[int, bytes], int] = {}
        self._stored: dict[bytes, int] = {}
        self._recent: dict[int, dict[bytes, int]] = {}
        self._recent_bytes = 0

    def place(self, value: Any, redactor: Redactor) -> Any:
        """Return what stands for a value in the body of an event: a reference, or itself if it is small."""
        if isinstance(value, list) and value:
            recent = self._recent.get(redactor.number) or {}
            return {ITEM_LIST: [recent.get(raw) or self._id_of(raw, redactor) for raw in encode_each(value)]}
        raw = encode(value)
        if type(value) is str:
            return value if len(raw) <= INLINE_BYTES else {ITEM: self._id_of(raw, redactor)}
        # What is a mapping always becomes an item, so that a user's {"$i": 1} is never taken for a reference.
        if len(raw) > INLINE_BYTES or raw.startswith(b"{"):
            return {ITEM: self._id_of(raw, redactor)}
        return json.loads(raw)

    def forget_waiting(self, written: Sequence[ItemRow]) -> None:
        """Let go of items that are in the database now."""
        for item in written:
            del self.waiting[item[0]]

    def _id_of(self, raw: bytes, redactor: Redactor) -> int:
        # A text with something in it to take out is not kept, only its hash: so that it is redacted once.
        key = (redactor.number, _hash(raw))
        known = self._known.get(key)
        if known is None:
            clean = redactor.clean(raw)
            known = self._store(key, clean, key[1] if clean is raw else _hash(clean))
            if clean is raw:
                self._remember(raw, redactor.number, known)
        return known

    def _store(self, key: tuple[int, bytes], clean: bytes, hash_: bytes) -> int:
        with self._lock:
            item_id = self._stored.get(hash_)
            if item_id is None:
                item_id = self.last = self.last + 1
                self.waiting[item_id] = (item_id, hash_, clean)
                if len(self._stored) >= MAX_KNOWN_ITEMS:
                    self._stored.clear()
                    self._known.clear()
                    self._recent.clear()
                self._stored[hash_] = item_id
            self._known[key] = item_id
        return item_id

    def _remember(self, raw: bytes, number: int, item_id: int) -> None:
        """Know the text itself for a while: the next prompt repeats it, and to look it up costs less than a hash."""
        with self._lock:
            self._recent_bytes += len(raw)
            if self._recent_bytes > MAX_RECENT_BYTES:
                self._recent.clear()
                self._recent_bytes = len(raw)
            self._recent.setdefault(number, {})[raw] = item_id


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
