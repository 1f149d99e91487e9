"""Metrics of another system as metrics of a run, at their own times. Storing them again changes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store import limits
from agenttrace_nb.mlflow_store.records import MetricPoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agenttrace_nb.mlflow_store.store import Store

TAG = "agenttrace.pull"
"""Of a run that was made for a pull: which one, so that the next finds it."""

_MARK_CHARS = 8
_OF_TRACES = " What was traced"


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledSeries:
    """The values of one metric with one set of labels.

    Attributes
    ----------
    samples
        Time in milliseconds since the Unix epoch, and value; only finite ones.
    """

    metric: str
    labels: Mapping[str, str]
    samples: Sequence[tuple[int, float]]


def key_of(source: str, series: PulledSeries) -> str:
    """Return the name of a series' metric in MLflow: ``ext/SOURCE/METRIC/LABEL:VALUE ...``.

    What MLflow does not take in a name becomes ``_``; a mark keeps apart what would be the same then.

    Examples
    --------
    >>> key_of("prometheus", PulledSeries(metric="up", labels={"job": "api", "zone": "a"}, samples=()))
    'ext/prometheus/up/job:api zone:a'
    >>> key_of("prometheus", PulledSeries(metric="rate(up[1m])", labels={}, samples=()))
    'ext/prometheus/rate_up_1m__ 123fab28'
    """
    labels = " ".join(f"{name}:{value}" for name, value in sorted(series.labels.items()))
    wanted = "/".join(filter(None, ("ext", source, series.metric, labels)))
    allowed = limits.name(wanted)
    if allowed == wanted:
        return wanted
    exact = json.dumps([source, series.metric, sorted(series.labels.items())])
    mark = hashlib.sha256(exact.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK_CHARS]
    return f"{allowed[: limits.NAME_CHARS - _MARK_CHARS - 1]} {mark}"


def write_pulled(
    uri: str,
    cwd: str,
    *,
    source: str,
    series: Iterable[PulledSeries],
    step_ms: int,
    about: Mapping[str, Any],
    run_id: str | None = None,
    experiment: str | None = None,
) -> str:
    """Store series as metrics of a run and return the run's id.

    Parameters
    ----------
    uri, cwd
        The tracking URI, and the folder that MLflow's relative paths start from.
    source, series, step_ms
        Where they come from, what there is, and the time from one value to the next, which counts the steps.
    about
        What was asked for; kept with the labels of each series in ``pulled/*.json`` of the run.
    run_id
        The run; without it the one that earlier pulls of the same query have made, or a new one.
    experiment
        Experiment of a new run, as `Store.experiment_id` takes it.

    Raises
    ------
    StoreError
        If MLflow does not take them.
    """
    from agenttrace_nb.mlflow_store.store import Store

    with _of_values():
        store = Store(uri, cwd)
        if run_id is None:
            run_id = _run(store, store.experiment_id(experiment, cwd), source, about)
        kept = {key_of(source, one): one for one in series}
        points = [
            MetricPoint(key, value, time_ms, time_ms // step_ms)
            for key, one in kept.items()
            for time_ms, value in one.samples
        ]
        store.log(run_id, points)
        listed = [
            {"key": key, "metric": one.metric, "labels": dict(one.labels), "values": len(one.samples)}
            for key, one in kept.items()
        ]
        text = json.dumps({**about, "series": listed}, indent=2)
        name = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:16]
        store.log_text(run_id, text, f"pulled/{source}-{name}.json")
        return run_id


@contextlib.contextmanager
def _of_values() -> Iterator[None]:
    """Leave out of the store's errors what they say of traces and the journal, where these values are not."""
    from agenttrace_nb.mlflow_store.store import StoreError

    try:
        yield
    except StoreError as error:
        raise type(error)(str(error).partition(_OF_TRACES)[0]) from error


def _run(store: Store, experiment_id: str, source: str, about: Mapping[str, Any]) -> str:
    asked = json.dumps([source, about.get("query"), about.get("step_ms")])
    mark = hashlib.sha256(asked.encode()).hexdigest()[:32]
    known = store.find_runs(experiment_id, TAG, mark)
    if known:
        run_id: str = min(known.values())[0]
        return run_id
    now_ms = time.time_ns() // 1_000_000
    name = limits.shortened(f"pull {source} {about.get('query')}", limits.NAME_CHARS)
    tags = limits.tags({TAG: mark, "agenttrace.source": source, names.SOURCE_TYPE: "LOCAL"})
    run_id = store.create_run(experiment_id, name, now_ms, tags)
    store.finish_run(run_id, "FINISHED", now_ms)
    return run_id
