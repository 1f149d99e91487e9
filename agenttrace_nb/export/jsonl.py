"""The handler ``jsonl``: one line of JSON for each step and run, appended to a file on this machine."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb.export.handler import API_VERSION, Answer, Misconfigured, Moment, Retry, Sent
from agenttrace_nb.export.registry import is_reference
from agenttrace_nb.journal.place import open_private

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agenttrace_nb.export.handler import Context, Item
    from agenttrace_nb.spans import CellRun, Span, Trace

_PASSES = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EINTR, errno.EAGAIN])
_OF_RUN = ("key", "name", "arch", "case", "trial", "experiment", "session", "notebook", "tags")


class JsonlHandler:
    """Appends to a file that only its owner may read.

    A line holds ``moment`` and ``event_id``; of a step its fields (`Span`; times in nanoseconds since the epoch) with
    ``trace`` and ``run``; of a run its fields. After a crash the last lines may be there twice, under the same
    ``event_id``.
    """

    api_version = API_VERSION
    options: Mapping[str, str] = {"path": "The file; it is made if need be, and appended to."}
    required = frozenset({"path"})
    secrets: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._path = Path()

    @staticmethod
    def prepare(options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options with the path as it is from any folder: later kernels begin in other ones."""
        given = str(options["path"])
        if is_reference(given):
            return dict(options)
        path = Path(given).expanduser().absolute()
        if path.is_dir():
            msg = f"path={given!r} is a folder; name a file in it, such as {path / 'agents.jsonl'}"
            raise ValueError(msg)
        return {**options, "path": str(path)}

    def open(self, context: Context) -> None:
        """Take the path."""
        self._path = Path(self.prepare(context.options)["path"])

    def export(self, batch: tuple[Item, ...]) -> Answer:
        """Append a batch."""
        lines = "".join(json.dumps(as_json(item), allow_nan=False) + "\n" for item in batch).encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "a+b", opener=open_private) as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - 1))
                if file.read(1) not in {b"", b"\n"}:  # a line that a crash broke off
                    lines = b"\n" + lines
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            what = f"{self._path} cannot be written: {error.strerror or error}"
            if error.errno in _PASSES:
                return Retry(reason=f"{what}; free some space on the disk")
            return Misconfigured(reason=f"{what}; make it writable, or add the handler again with another --path")
        return Sent()

    def close(self) -> None:
        """Nothing is held open."""


def as_json(item: Item) -> dict[str, Any]:
    """Return an item as data."""
    line: dict[str, Any] = {"moment": item.moment.value, "event_id": item.event_id}
    if item.span is None:
        return line | (_known(asdict(item.run)) if item.run is not None else {})
    return line | _span(item.span) | _around(item.trace, item.run if item.moment is not Moment.RUN else None)


def _span(span: Span) -> dict[str, Any]:
    kept = {name: getattr(span, name) for name in span.__dataclass_fields__ if not name.startswith("content_")}
    kept["error"] = asdict(span.error) if span.error is not None else None
    return _known(kept | {"input": span.input, "output": span.output})


def _around(trace: Trace | None, run: CellRun | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if trace is not None:
        found["trace"] = _known({n: getattr(trace, n) for n in ("name", "session", "user", "tags", "metadata")})
    if run is not None:
        found["run"] = _known({n: getattr(run, n) for n in _OF_RUN})
    return found


def _known(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None and value not in ({}, [], ())}
