"""What distinguishes failing runs from passing ones: which agent, tool, outcome, arguments or transition."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.failure_patterns_elements import Element, elements_of
from agenttrace_nb.analysis.statistics.multiplicity import benjamini_hochberg
from agenttrace_nb.analysis.statistics.proportions import newcombe, wilson
from agenttrace_nb.analysis.statistics.unpaired import fisher_exact
from agenttrace_nb.config import OptionError
from agenttrace_nb.spans import Status, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

LEAST_OF_EACH = 5
COLUMNS = (
    "kind", "agent", "tool", "what", "failing_with", "passing_with", "failing_without", "passing_without",
    "failure_rate", "low", "high", "difference", "difference_low", "difference_high", "odds_ratio", "ochiai",
    "tarantula", "p", "p_adjusted", "words", "trace_ids",
)  # fmt: skip
_COUNTS = ("failing_with", "passing_with", "failing_without", "passing_without")
_TEXTS = ("kind", "agent", "tool", "what", "words")


def failure_patterns(traces: Iterable[Trace]) -> pd.DataFrame:
    """Return what failing runs have in common that passing ones have not, the clearest first.

    A run failed if that was said of it (``run.success``, a rating, a scorer); where nothing was said of any run, if it
    ended with an error. Runs of which this is not known, and those that somebody stopped, do not count.

    Parameters
    ----------
    traces
        A `TraceSet` or traces: at least five failing and five passing.

    Returns
    -------
    pandas.DataFrame
        One row for each element (``kind``: agent, tool, calls, outcome, arguments, transition, repeated; ``what`` says
        it). ``failing_with`` failing runs have it, of ``failing_with + failing_without``; the same for passing ones.
        ``failure_rate`` of the runs that have it, with its 95 % interval (Wilson) ``low`` to ``high``; ``difference``
        to that of the others, with its interval (Newcombe); ``odds_ratio`` (null where one side is empty); ``ochiai``
        and ``tarantula`` as in spectrum-based fault localisation; ``p`` of Fisher's exact test and ``p_adjusted`` for
        all elements that were looked at (Benjamini-Hochberg); the same in ``words``; ``trace_ids`` of the failing
        runs that have it. ``frame.attrs`` holds ``failing``, ``passing`` and ``left_out``.

    Raises
    ------
    OptionError
        If there are fewer than five of either.

    Notes
    -----
    Jones and Harrold (2005), ASE, 273 (Tarantula); Abreu, Zoeteweij and van Gemund (2007), TAICPART, 89 (Ochiai). Runs
    that fail together need not fail because of what they share.

    Examples
    --------
    >>> def run(n, result):
    ...     call = {"id": "c", "function": {"name": "search", "arguments": "{}"}}
    ...     said = [
    ...         {"role": "assistant", "tool_calls": [call]},
    ...         {"role": "tool", "tool_call_id": "c", "content": result},
    ...     ]
    ...     trace = Trace.from_messages(said, name=f"run {n}")
    ...     trace.status = Status.ERROR if result == "[]" else Status.OK
    ...     return trace
    >>> found = failure_patterns([run(n, "[]" if n < 6 else "[1]") for n in range(12)])
    >>> print(found["words"][0])
    6 of 6 runs in which search returned an empty list failed; of the other 6 none did.
    """
    failing, passing, left_out = _split(traces)
    if min(len(failing), len(passing)) < LEAST_OF_EACH:
        msg = (
            f"traces: {len(failing)} failing and {len(passing)} passing runs are too few to compare; at least "
            f"{LEAST_OF_EACH} of each are needed"
            + (f" ({left_out} left out: not known or stopped)" if left_out else "")
        )
        raise OptionError(msg)
    having: dict[Element, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for side, group in enumerate((failing, passing)):
        for trace in group:
            for element in elements_of(trace):
                having[element][side].append(trace.trace_id)
    f, p = len(failing), len(passing)
    rows = [_row(element, its, f, p) for element, its in having.items() if len(its[0]) + len(its[1]) < f + p]
    frame = _frame(rows)
    frame.attrs = {"failing": f, "passing": p, "left_out": left_out}
    return frame


def _split(traces: Iterable[Trace]) -> tuple[list[Trace], list[Trace], int]:
    listed: list[Any] = list(traces)
    wrong = next((t for t in listed if not isinstance(t, Trace)), None)
    if wrong is not None:
        msg = f"traces: a {type(wrong).__name__} is not allowed in it; it must hold Traces (a TraceSet does)"
        raise OptionError(msg)
    said_of = getattr(traces, "success", None)
    said = {t.trace_id: said_of(t) for t in listed} if callable(said_of) else {}
    judged = any(value is not None for value in said.values())
    ended = {Status.ERROR: False, Status.OK: True}
    went = [(t, said.get(t.trace_id) if judged else ended.get(t.status)) for t in listed]
    failing = [t for t, good in went if good is False]
    passing = [t for t, good in went if good is True]
    return failing, passing, len(listed) - len(failing) - len(passing)


def _row(element: Element, its: tuple[list[str], list[str]], failing: int, passing: int) -> dict[str, Any]:
    ef, ep = len(its[0]), len(its[1])
    nf, np_ = failing - ef, passing - ep
    low, high = wilson(ef, ef + ep)
    without = nf + np_
    difference_low, difference_high = newcombe(nf, without, ef, ef + ep)
    return {
        "kind": element.kind, "agent": element.agent, "tool": element.tool, "what": element.what,
        "failing_with": ef, "passing_with": ep, "failing_without": nf, "passing_without": np_,
        "failure_rate": ef / (ef + ep), "low": low, "high": high,
        "difference": ef / (ef + ep) - nf / without, "difference_low": difference_low,
        "difference_high": difference_high, "odds_ratio": ef * np_ / (nf * ep) if nf and ep else None,
        "ochiai": ochiai(ef, ep, failing), "tarantula": tarantula(ef, ep, failing, passing),
        "p": fisher_exact(ef, failing, ep, passing), "words": _words(element, ef, ef + ep, nf, without),
        "trace_ids": its[0],
    }  # fmt: skip


def ochiai(failing_with: int, passing_with: int, failing: int) -> float:
    """Return how alike "failed" and "has it" are: 1 where they are the same runs.

    Examples
    --------
    >>> round(ochiai(23, 1, 116), 6)
    0.435906
    """
    return failing_with / math.sqrt(failing * (failing_with + passing_with))


def tarantula(failing_with: int, passing_with: int, failing: int, passing: int) -> float:
    """Return the share of failing among those that have it, as if there were as many failing as passing runs.

    Examples
    --------
    >>> round(tarantula(23, 1, 116, 84), 6)
    0.943359
    """
    rate_failing, rate_passing = failing_with / failing, passing_with / passing
    return rate_failing / (rate_failing + rate_passing)


def _words(element: Element, failed: int, having: int, failed_without: int, without: int) -> str:
    run = "run" if having == 1 else "runs"
    others = f"{failed_without}" if failed_without else "none"
    return f"{failed} of {having} {run} in which {element.what} failed; of the other {without} {others} did."


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    for row, adjusted in zip(rows, benjamini_hochberg([row["p"] for row in rows]) if rows else (), strict=True):
        row["p_adjusted"] = float(adjusted)
    rows.sort(key=lambda row: (row["p_adjusted"], row["p"], -row["ochiai"], row["kind"], row["what"]))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    kinds = {
        c: "Int64" if c in _COUNTS else "string" if c in _TEXTS else "Float64" for c in COLUMNS if c != "trace_ids"
    }
    return frame.astype(kinds)
