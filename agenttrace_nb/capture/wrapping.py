"""Methods of the user's own objects that are looked at while agents run, and put back as they were found."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MISSING = object()


class WatchedObjects:
    """Objects whose methods are wrapped, on the object itself and not on its class.

    Objects are told apart by identity: they need not be hashable, and two that are equal are still two.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], dict[str, Any]]] = {}

    def wrap(self, owner: Any, wrappers: dict[str, Callable[[Any], Any]]) -> None:
        """Replace methods of an object by what a function makes of each; once for each object.

        Objects without a dictionary of their own, and such that cannot be referred to weakly, are left alone.
        """
        key = id(owner)
        known = self._known.get(key)
        own = getattr(owner, "__dict__", None)
        if own is None or (known is not None and known[0]() is owner):
            return
        try:
            found = weakref.ref(owner, lambda _: self._known.pop(key, None))
        except TypeError:
            return
        before = {name: own.get(name, _MISSING) for name in wrappers if hasattr(owner, name)}
        self._known[key] = (found, before)
        for name in before:
            setattr(owner, name, wrappers[name](getattr(owner, name)))

    def unwrap_all(self) -> None:
        """Put the methods back."""
        while self._known:
            _, (find, before) = self._known.popitem()
            owner = find()
            for name, original in before.items() if owner is not None else ():
                if original is _MISSING:
                    vars(owner).pop(name, None)
                else:
                    setattr(owner, name, original)
