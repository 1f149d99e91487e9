"""Runs and their steps as columns: what a dashboard keeps of them, and no more of them than fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agenttrace_nb.analysis.monitor import KINDS, STANDINGS, Standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agenttrace_nb.analysis.monitor import Call, Measured

RUN_LIMIT = 10_000
CALL_LIMIT = 100_000
_DROPPED_AT_ONCE = 10  # per cent of the limit
_LEAST_ROOM = 256
_SAID = {None: 0, False: 1, True: 2}

RUN_TYPES = {
    "start_ms": "f8", "took_s": "f8", "standing": "u1", "success": "u1", "tokens_in": "i8", "tokens_out": "i8",
    "cost_usd": "f8", "name": "u4", "arch": "u4", "case": "u4", "why": "u4", "where": "u4",
}  # fmt: skip
CALL_TYPES = {
    "run": "i4", "kind": "u1", "standing": "u1", "name": "u4", "agent": "u4", "took_s": "f8", "tokens_in": "i8",
    "tokens_out": "i8", "cost_usd": "f8",
}  # fmt: skip


class Columns:
    """Rows of numbers, column by column, that grow at their end."""

    def __init__(self, types: Mapping[str, str]) -> None:
        self._data = {name: np.empty(_LEAST_ROOM, kind) for name, kind in types.items()}
        self.n = 0

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a column, as it stands; a view that later rows do not lengthen."""
        return self._data[name][: self.n]

    def append(self, row: Mapping[str, float]) -> int:
        """Add a row; return its number."""
        at = self.n
        if at == next(iter(self._data.values())).size:
            self._data = {name: np.resize(column, 2 * at) for name, column in self._data.items()}
        self.n += 1
        self.set(at, row)
        return at

    def set(self, at: int, row: Mapping[str, float]) -> None:
        """Replace a row."""
        for name, column in self._data.items():
            column[at] = row[name]

    def keep(self, rows: np.ndarray) -> None:
        """Keep these rows only, in this order."""
        for name, column in self._data.items():
            kept = column[: self.n][rows]
            self._data[name] = np.resize(kept, max(_LEAST_ROOM, kept.size)) if kept.size else column[:_LEAST_ROOM]
        self.n = int(np.count_nonzero(rows) if rows.dtype == bool else rows.size)


class Board:
    """The runs that a dashboard knows.

    Attributes
    ----------
    runs, calls
        Their columns. ``success`` is 0 where nothing was said, 1 for no, 2 for yes; counts that are not known are -1,
        other numbers NaN; texts are numbers of `texts`. A call of a run that was measured anew is of run -1.
    ids, row_of
        Trace ids by row, and rows by trace id.
    version
        Counts what was put.
    generation
        Counts how often rows were given new numbers.
    left_out
        Runs that were dropped, the oldest first, since there were more than the limit.
    """

    def __init__(self, *, run_limit: int = RUN_LIMIT, call_limit: int = CALL_LIMIT) -> None:
        self.runs = Columns(RUN_TYPES)
        self.calls = Columns(CALL_TYPES)
        self.ids: list[str] = []
        self.row_of: dict[str, int] = {}
        self.texts: list[str] = [""]
        self.generation = 0
        self.version = 0
        self.left_out = 0
        self._limits = (run_limit, call_limit)
        self._text_of: dict[str, int] = {"": 0}
        self._changed: dict[int, None] = {}
        self._dead = 0

    def put(self, run: Measured) -> None:
        """Add a run, or replace what is known of it."""
        self.version += 1
        row, at = self._run_row(run), self.row_of.get(run.trace_id)
        if at is None:
            at = self.row_of[run.trace_id] = self.runs.append(row)
            self.ids.append(run.trace_id)
        else:
            self.runs.set(at, row)
            mine = self.calls["run"] == at
            self._dead += int(np.count_nonzero(mine))
            self.calls["run"][mine] = -1
        for call in run.calls:
            self.calls.append(self._call_row(at, call))
        self._changed[at] = None
        self._make_room()

    def take_changed(self) -> list[int]:
        """Return the rows of runs that changed since the last call."""
        changed, self._changed = list(self._changed), {}
        return changed

    def standing(self, trace_id: str) -> Standing | None:
        """Return how a run stands; ``None`` if it is not known."""
        at = self.row_of.get(trace_id)
        return None if at is None else tuple(Standing)[int(self.runs["standing"][at])]

    def text(self, number: int) -> str | None:
        """Return the text of a number; ``None`` for no text."""
        return self.texts[number] or None

    def _run_row(self, run: Measured) -> dict[str, float]:
        return {
            "start_ms": run.start_ms, "took_s": _real(run.took_s), "standing": STANDINGS[run.standing],
            "success": _SAID[run.success], "tokens_in": _whole(run.tokens_in), "tokens_out": _whole(run.tokens_out),
            "cost_usd": _real(run.cost_usd),
            **{name: self._text(getattr(run, name)) for name in ("name", "arch", "case", "why", "where")},
        }  # fmt: skip

    def _call_row(self, at: int, call: Call) -> dict[str, float]:
        return {
            "run": at, "kind": KINDS[call.kind], "standing": STANDINGS[call.standing],
            "name": self._text(call.name), "agent": self._text(call.agent), "took_s": _real(call.took_s),
            "tokens_in": _whole(call.tokens_in), "tokens_out": _whole(call.tokens_out),
            "cost_usd": _real(call.cost_usd),
        }  # fmt: skip

    def _text(self, text: str | None) -> int:
        if not text:
            return 0
        number = self._text_of.get(text)
        if number is None:
            number = self._text_of[text] = len(self.texts)
            self.texts.append(text)
        return number

    def _make_room(self) -> None:
        run_limit, call_limit = self._limits
        too_many = self.runs.n > run_limit
        if self.calls.n - self._dead > call_limit:
            too_many = True
        elif not too_many and self._dead <= max(call_limit // 2, _LEAST_ROOM):
            return
        self._renumber(self._kept() if too_many else np.arange(self.runs.n))

    def _kept(self) -> np.ndarray:
        run_limit, call_limit = self._limits
        order = np.argsort(self.runs["start_ms"], kind="stable")
        per_run = np.bincount(self.calls["run"][self.calls["run"] >= 0], minlength=self.runs.n)[order]
        share = 1 - _DROPPED_AT_ONCE / 100
        # From the newest backwards, as many as fit; always the newest one.
        calls_after = np.cumsum(per_run[::-1])[::-1]
        runs_after = np.arange(self.runs.n, 0, -1)
        fits = (calls_after <= share * call_limit) & (runs_after <= share * run_limit)
        fits[-1] = True
        self.left_out += int(np.count_nonzero(~fits))
        return np.sort(order[fits])

    def _renumber(self, rows: np.ndarray) -> None:
        number = np.full(self.runs.n, -1, dtype="i4")
        number[rows] = np.arange(rows.size)
        run = self.calls["run"]
        run[run >= 0] = number[run[run >= 0]]
        self.calls.keep(run >= 0)
        self.runs.keep(rows)
        self._dead = 0
        self.ids = [self.ids[at] for at in rows]
        self.row_of = {trace_id: at for at, trace_id in enumerate(self.ids)}
        self._forget_texts()
        self._changed = {}
        self.generation += 1

    def _forget_texts(self) -> None:
        of = [
            *((self.runs, n) for n in ("name", "arch", "case", "why", "where")),
            (self.calls, "name"),
            (self.calls, "agent"),
        ]
        used = np.unique(np.concatenate([[0], *(columns[name] for columns, name in of)]).astype("i8"))
        for columns, name in of:
            columns[name][:] = np.searchsorted(used, columns[name])
        self.texts = [self.texts[at] for at in used]
        self._text_of = {text: at for at, text in enumerate(self.texts)}


def _real(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _whole(value: int | None) -> int:
    return -1 if value is None else value
