"""Scores that MLflow holds, as columns to compare by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb import config
from agenttrace_nb.analysis.comparison.metrics import SCORE
from agenttrace_nb.config import OptionError, did_you_mean
from agenttrace_nb.mlflow_store import target
from agenttrace_nb.mlflow_store.around import WITHIN_TRACE
from agenttrace_nb.mlflow_store.scores import read_scores
from agenttrace_nb.spans import Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


def add_scores(frame: pd.DataFrame, metrics: Sequence[str] | str) -> None:
    """Add the column of each score that is asked for to a frame of traces, read from MLflow.

    Raises
    ------
    OptionError
        If no trace has such a score; the message lists those there are.
    ConnectionError
        If the tracking server does not answer.
    """
    import pandas as pd

    asked: list[Any] = [metrics] if isinstance(metrics, str) else list(metrics)
    wanted = [name.removeprefix("-") for name in asked if isinstance(name, str)]
    wanted = [name for name in wanted if name.startswith(SCORE) and name not in frame.columns]
    if not wanted:
        return
    traces = [
        Trace(trace_id=trace_id, name="", start_ns=0, run_id=run_id, tags={WITHIN_TRACE: around} if around else {})
        for trace_id, run_id, around in zip(
            frame["trace_id"], _texts(frame, "run_id"), _texts(frame, WITHIN_TRACE), strict=True
        )
    ]
    scores = read_scores(target.tracking_uri(Path.cwd(), config.current().tracking_uri), traces)
    known = sorted({name for of in scores.values() for name in of})
    for name in wanted:
        score = name.removeprefix(SCORE)
        if score not in known:
            there = ", ".join(SCORE + k for k in known) or "none"
            msg = f"metric {name!r}: none of these traces has such a score in MLflow; there are {there}."
            raise OptionError(msg + did_you_mean(score, known))
        frame[name] = pd.array([scores[trace.trace_id].get(score) for trace in traces], dtype="Float64")


def _texts(frame: pd.DataFrame, name: str) -> list[str | None]:
    if name not in frame.columns:
        return [None] * len(frame)
    return list(frame[name].astype(object).where(frame[name].notna(), None))
