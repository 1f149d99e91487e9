"""MLflow's scorers asked, and the scores that MLflow holds of runs and traces read back."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.around import WITHIN_TRACE
from agenttrace_nb.mlflow_store.target import silence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agenttrace_nb.spans import Trace

_BATCH = 100
_WORDS = {"yes": 1.0, "true": 1.0, "pass": 1.0, "no": 0.0, "false": 0.0, "fail": 0.0}


def is_scorer(given: Any) -> bool:
    """Tell whether something is one of MLflow's scorers, without importing MLflow."""
    return callable(getattr(given, "run", None)) and any(
        c.__name__ == "Scorer" and c.__module__.startswith("mlflow.") for c in type(given).__mro__
    )


def ask(scorer: Any, case: Any, answer: Any) -> dict[str, float]:
    """Return what a scorer says of an answer, by the name of the score; what is no number, yes or no is left out.

    Parameters
    ----------
    scorer
        One of MLflow's scorers (``mlflow.genai.scorers``, or a function with ``@scorer``).
    case
        What was asked; of a mapping with ``inputs`` and ``expectations`` these, as MLflow's own data sets have them.
    answer
        What came of it.
    """
    whole = case if hasattr(case, "keys") else {"case": case}
    inputs = whole.get("inputs", whole)
    said = scorer.run(inputs=inputs, outputs=answer, expectations=whole.get("expectations"))
    listed = said if isinstance(said, list) else [said]
    return _means((getattr(one, "name", None) or scorer.name, getattr(one, "value", one)) for one in listed)


def read_scores(uri: str, traces: Iterable[Trace]) -> dict[str, dict[str, float]]:
    """Return the scores of traces by trace id and name: metrics of their runs, and assessments of the trace itself.

    Yes and no, true and false, pass and fail are 1 and 0; several of one name are taken together by their mean. An
    assessment of a trace goes before one of MLflow's trace around it, that before a metric of its run, and one of a
    single step counts for none.

    Raises
    ------
    ConnectionError
        If the tracking server does not answer.
    """
    from mlflow import MlflowClient

    if reason := silence(uri):
        raise ConnectionError(reason)
    client, listed = MlflowClient(uri), list(traces)
    of_run = _of_runs(client, sorted({trace.run_id for trace in listed if trace.run_id}))
    around = {trace.trace_id: trace.tags.get(WITHIN_TRACE) for trace in listed}
    said = _said_of(uri, [*(names.mlflow_trace_id(one) for one in around), *filter(None, around.values())])
    return {
        trace.trace_id: of_run.get(trace.run_id or "", {})
        | said.get(around[trace.trace_id] or "", {})
        | said.get(names.mlflow_trace_id(trace.trace_id), {})
        for trace in listed
    }


def _said_of(uri: str, trace_ids: Iterable[str]) -> dict[str, dict[str, float]]:
    from agenttrace_nb.mlflow_store import adapter

    wanted = list(dict.fromkeys(trace_ids))
    found: dict[str, dict[str, float]] = {}
    for start in range(0, len(wanted), _BATCH):
        for trace_id, said in adapter.read_assessments(uri, wanted[start : start + _BATCH]).items():
            found[trace_id] = _means((a.name, a.value) for a in said if a.valid is not False)
    return found


def _of_runs(client: Any, run_ids: list[str]) -> dict[str, dict[str, float]]:
    places = [e.experiment_id for e in client.search_experiments()]
    found: dict[str, dict[str, float]] = {}
    for start in range(0, len(run_ids), _BATCH):
        wanted = ", ".join(f"'{run_id}'" for run_id in run_ids[start : start + _BATCH])
        for run in client.search_runs(places, f"attributes.run_id IN ({wanted})", max_results=_BATCH):
            found[run.info.run_id] = dict(run.data.metrics)
    return found


def _means(said: Iterable[tuple[str, Any]]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for name, value in said:
        if (number := number_of(value)) is not None:
            values.setdefault(name, []).append(number)
    return {name: statistics.fmean(of) for name, of in values.items()}


def number_of(value: Any) -> float | None:
    """Return a score as a number; ``None`` where it is none.

    Examples
    --------
    >>> number_of(True), number_of("no"), number_of(0.7), number_of("maybe")
    (1.0, 0.0, 0.7, None)
    """
    if isinstance(value, str):
        return _WORDS.get(value.strip().lower())
    if isinstance(value, (bool, int, float)) and math.isfinite(value):
        return float(value)
    return None


def as_success(scores: Mapping[str, float]) -> bool | None:
    """Return whether scores say yes or no: all of them yes; ``None`` where one is neither, or there is none.

    Examples
    --------
    >>> as_success({"right": 1.0, "polite": 0.0}), as_success({"quality": 0.7}), as_success({})
    (False, None, None)
    """
    if not scores or any(score not in (0.0, 1.0) for score in scores.values()):
        return None
    return all(scores.values())
