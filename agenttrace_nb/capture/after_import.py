"""Doing something once a module has been imported, without importing it."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from agenttrace_nb.capture.active import quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class AfterImport(importlib.abc.MetaPathFinder):
    """Calls a function each time that one of some modules has been imported, until `remove`.

    Parameters
    ----------
    names
        The modules.
    then
        What to do; its failures do not reach the import.
    """

    def __init__(self, names: Sequence[str], then: Callable[[], Any]) -> None:
        self._names = frozenset(names)
        self._then = quiet(then)
        self._asking: set[str] = set()
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Let the others find the module and watch it load; somebody may only ask whether it is there."""
        if name not in self._names or name in self._asking:
            return None
        self._asking.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asking.discard(name)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            self._watch(spec.loader)
        return spec

    def _watch(self, loader: Any) -> None:
        load = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            vars(loader).pop("exec_module", None)
            load(module)
            if self in sys.meta_path:
                self._then()

        loader.exec_module = exec_module

    def remove(self) -> None:
        """Stop watching."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
