"""Runs and steps by agent, tool, model or architecture, and over time. ``js/src/dashboard`` computes the same.

What needs attention comes first: a group whose errors or durations rose against the stretch of the same length before,
by more than chance explains (z of at least 3, about one in a thousand for each).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from agenttrace_nb.analysis.monitor import KINDS, QUANTILES, STANDINGS, Standing, Stretch, in_stretch, quantile
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.analysis.monitor_board import Board, Columns

BY = ("agent", "tool", "model", "arch")
SURE_Z = 3.0
LEAST_COMPARED = 8
LEAST_SLOWER = 1.1
MOST_BINS = 60
_STEPS = {"agent": SpanKind.AGENT, "tool": SpanKind.TOOL, "model": SpanKind.LLM}
_OK, _ERROR = STANDINGS[Standing.OK], STANDINGS[Standing.ERROR]
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class Change:
    """What rose against the stretch before: ``errors`` (shares) or ``latency`` (medians, s)."""

    what: str
    before: float
    now: float
    z: float


@dataclass(frozen=True, slots=True)
class Group:
    """Runs of one architecture, or steps of one agent, tool or model.

    Attributes
    ----------
    n, errors
        How many ended, and how many of them in an error.
    p50_s, p95_s, total_s
        How long they took.
    tokens, cost_usd
        In and out; of an agent those of its calls of models. ``None`` where none is known.
    change
        What needs attention.
    """

    name: str | None
    n: int
    errors: int
    p50_s: float | None
    p95_s: float | None
    total_s: float | None
    tokens: int | None
    cost_usd: float | None
    change: Change | None


class Bin(NamedTuple):
    """Runs that started in a stretch of time: how many ended, in errors, how long they took, their tokens."""

    from_ms: float
    runs: int
    errors: int
    p50_s: float | None
    p95_s: float | None
    tokens: int | None


def groups(board: Board, by: str, stretch: Stretch) -> list[Group]:
    """Return the groups of a stretch of time, those that need attention first, then those with the most errors.

    Parameters
    ----------
    board
        The runs.
    by
        ``agent``, ``tool``, ``model`` or ``arch``.
    stretch
        When the runs started.
    """
    before = stretch.before()
    earlier = {} if before is None else {part.name: part for part in _parts(board, by, before)}
    found = [_group(board, part, earlier.get(part.name)) for part in _parts(board, by, stretch)]
    return sorted(found, key=_order)


def series(board: Board, stretch: Stretch, now_ms: float) -> tuple[float, list[Bin]]:
    """Return the length of a bin in ms, and the bins of a stretch of time from its first to its last, empty ones too.

    Bins begin at multiples of their length since the epoch, as in MLflow.
    """
    inside = in_stretch(board, stretch)
    start = board.runs["start_ms"][inside]
    if not start.size:
        return math.nan, []
    first = stretch.from_ms if math.isfinite(stretch.from_ms) else float(start.min())
    last = max(min(stretch.to_ms, now_ms), first)
    step = bin_ms(last - first)
    zero = math.floor(first / step)
    at = (np.floor(start / step) - zero).astype(int)
    count = max(math.floor(last / step) - zero, int(at.max())) + 1
    columns = {name: board.runs[name][inside] for name in ("standing", "took_s", "tokens_in", "tokens_out")}
    bins = []
    for number in range(count):
        its = {name: values[at == number] for name, values in columns.items()}
        took = np.sort(its["took_s"][~np.isnan(its["took_s"])])
        bins.append(
            Bin(
                from_ms=(zero + number) * step,
                runs=int((its["standing"] != STANDINGS[Standing.RUNNING]).sum()),
                errors=int((its["standing"] == _ERROR).sum()),
                p50_s=quantile(took, QUANTILES[0]),
                p95_s=quantile(took, QUANTILES[1]),
                tokens=_tokens(its["tokens_in"], its["tokens_out"]),
            )
        )
    return step, bins


def bin_ms(length_ms: float) -> float:
    """Return how long a bin is, for at most about 60 of them.

    Examples
    --------
    >>> [bin_ms(minutes * 60_000) / 1000 for minutes in (1, 15, 60, 1440)]
    [1.0, 15.0, 60.0, 1800.0]
    """
    least = 0.999 * length_ms / MOST_BINS / _MS_PER_S  # a window that ends now is a moment longer than its name
    seconds = next((s for s in _SECONDS if s >= least), None) or math.ceil(least / _SECONDS[-1]) * _SECONDS[-1]
    return float(seconds * _MS_PER_S)


# ------------------------------------------------------------------------------------------------------------ inside


@dataclass(slots=True)
class _Part:
    name: int
    standing: np.ndarray
    took: np.ndarray  # ordered, those that are known
    tokens: int | None
    cost: float | None

    @property
    def judged(self) -> int:
        return int(((self.standing == _OK) | (self.standing == _ERROR)).sum())

    @property
    def errors(self) -> int:
        return int((self.standing == _ERROR).sum())


def _parts(board: Board, by: str, stretch: Stretch) -> Iterator[_Part]:
    inside = in_stretch(board, stretch)
    if by == "arch":
        rows = inside & (board.runs["standing"] != STANDINGS[Standing.RUNNING])
        yield from _split(board.runs, "arch", rows, board.runs, "arch", rows)
        return
    of = board.calls["run"]
    called = (of >= 0) & np.append(inside, False)[of]
    kind = board.calls["kind"]
    rows = called & (kind == KINDS[_STEPS[by]])
    # What an agent spent is what its calls of models spent.
    paid, payer = (called & (kind == KINDS[SpanKind.LLM]), "agent") if by == "agent" else (rows, "name")
    yield from _split(board.calls, "name", rows, board.calls, payer, paid)


def _split(  # noqa: PLR0917 - two sets of rows, the second in the shape of the first
    columns: Columns, name: str, rows: np.ndarray, paying: Columns, payer: str, paid: np.ndarray
) -> Iterator[_Part]:
    names = columns[name][rows]
    standing, took = columns["standing"][rows], columns["took_s"][rows]
    payers = paying[payer][paid]
    into, out, cost = (paying[which][paid] for which in ("tokens_in", "tokens_out", "cost_usd"))
    for number in np.unique(names):
        mine, its = names == number, payers == number
        known = took[mine]
        costs = cost[its][~np.isnan(cost[its])]
        yield _Part(
            name=int(number),
            standing=standing[mine],
            took=np.sort(known[~np.isnan(known)]),
            tokens=_tokens(into[its], out[its]),
            cost=math.fsum(costs) if costs.size else None,
        )


def _group(board: Board, part: _Part, before: _Part | None) -> Group:
    return Group(
        name=board.text(part.name),
        n=part.standing.size,
        errors=part.errors,
        p50_s=quantile(part.took, QUANTILES[0]),
        p95_s=quantile(part.took, QUANTILES[1]),
        total_s=math.fsum(part.took) if part.took.size else None,
        tokens=part.tokens,
        cost_usd=part.cost,
        change=None if before is None else _change(before, part),
    )


def _change(before: _Part, now: _Part) -> Change | None:
    found = [c for c in (_more_errors(before, now), _slower(before, now)) if c is not None and c.z >= SURE_Z]
    return max(found, key=lambda change: change.z, default=None)


def _more_errors(before: _Part, now: _Part) -> Change | None:
    n0, n1 = before.judged, now.judged
    if min(n0, n1) < LEAST_COMPARED:
        return None
    p0, p1 = before.errors / n0, now.errors / n1
    # One of each kind is added: no share is 0 or 1 for certain.
    pooled = (before.errors + now.errors + 1) / (n0 + n1 + 2)
    return Change("errors", p0, p1, (p1 - p0) / math.sqrt(pooled * (1 - pooled) * (1 / n0 + 1 / n1)))


def _slower(before: _Part, now: _Part) -> Change | None:
    n0, n1 = before.took.size, now.took.size
    m0, m1 = quantile(before.took, QUANTILES[0]), quantile(now.took, QUANTILES[0])
    if min(n0, n1) < LEAST_COMPARED or m0 is None or m1 is None or m1 < LEAST_SLOWER * m0:
        return None
    # Mann and Whitney: pairs in which the later one took longer, a tie counts half.
    more = np.searchsorted(before.took, now.took, side="left") + np.searchsorted(before.took, now.took, side="right")
    u = float(more.sum()) / 2
    return Change("latency", m0, m1, (u - n0 * n1 / 2) / math.sqrt(n0 * n1 * (n0 + n1 + 1) / 12))


def _order(group: Group) -> tuple[float, float, float, str]:
    return (-group.change.z if group.change else 0, -group.errors, -(group.total_s or 0), group.name or "")


def _tokens(into: np.ndarray, out: np.ndarray) -> int | None:
    known = [int(counts[counts >= 0].sum()) for counts in (into, out) if (counts >= 0).any()]
    return sum(known) if known else None
