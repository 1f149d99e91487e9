"""A package with handlers, installed for a test: as pip would leave it on the path."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CODE = '''
import json, time
from agenttrace_nb.export.handler import API_VERSION, Sent

class Lines:
    """A plugin of ten lines, as in the documentation."""

    api_version = API_VERSION
    options = {"path": "Where to."}
    required = frozenset({"path"})
    secrets = frozenset()

    def open(self, context):
        self.path = context.options["path"]

    def export(self, batch):
        with open(self.path, "a") as file:
            file.writelines(f"{item.event_id}\\n" for item in batch)
        return Sent()

    def close(self):
        pass

class Hanging(Lines):
    def export(self, batch):
        time.sleep(3600)

class Old(Lines):
    api_version = 0

class NoHandler:
    pass
'''

ENTRY_POINTS = """[agenttrace_nb.handlers]
lines = lines_plugin:Lines
hanging = lines_plugin:Hanging
old = lines_plugin:Old
none = lines_plugin:NoHandler
gone = lines_plugin:Gone
broken = broken_plugin:Handler
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the package where this process, and those that it starts, find it."""
    found = folder / "lines_plugin-1.0.dist-info"
    found.mkdir(parents=True)
    (found / "METADATA").write_text("Metadata-Version: 2.1\nName: lines-plugin\nVersion: 1.0\n")
    (found / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "lines_plugin.py").write_text(CODE)
    (folder / "broken_plugin.py").write_text("import a_library_that_is_not_there\n")
    monkeypatch.syspath_prepend(folder)
    known = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), known])))
