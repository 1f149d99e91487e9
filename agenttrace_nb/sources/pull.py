"""Metrics of another system as a frame, and as metrics of an MLflow run."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb import config
from agenttrace_nb.config import OptionError
from agenttrace_nb.mlflow_store import target
from agenttrace_nb.secrets import SecretError
from agenttrace_nb.sources import registry
from agenttrace_nb.sources.join import OWN_COLUMNS, join
from agenttrace_nb.sources.moments import moment_ms, step_ms
from agenttrace_nb.sources.source import Query, Sample, Series, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    import pandas as pd

    from agenttrace_nb.spans import Trace

_FIRST_COLUMNS = ("time", "value", "metric")


def pull(
    source: str,
    query: str,
    *,
    start: datetime | timedelta | str,
    end: datetime | timedelta | str | None = None,
    step: float | str | timedelta | None = None,
    traces: Iterable[Trace] | None = None,
    run: Any = None,
    store: bool = True,
    **options: Any,
) -> pd.DataFrame:
    """Return what a query finds in another system, and store it as metrics of an MLflow run.

    Parameters
    ----------
    source
        ``prometheus`` (also Mimir, Thanos, VictoriaMetrics), ``grafana``, ``datadog``, ``splunk``, or a plugin's name.
    query
        In the source's own language.
    start, end
        The period: times (without a zone: UTC), ISO texts, or ``timedelta`` before now. It ends now by default.
    step
        From one value to the next: seconds, a ``timedelta``, or a text such as ``"15s"`` or ``"1m"``. By default such
        that there are about 250 values.
    traces
        Traces (a `TraceSet`, for instance) to join the values to: adds ``run_id`` and ``joined``, which says by which
        rule: ``trace id``, ``label NAME``, or ``window, approximate`` where only the time fits.
    run
        The run to store them in: its id, or an object with a ``run_id``. By default a run named for the query.
    store
        Whether to store them.
    **options
        Of the source: ``url``, ``token`` ... Secrets are references, such as ``token="env:GRAFANA_TOKEN"``.

    Returns
    -------
    pandas.DataFrame
        ``time`` (UTC, to the millisecond), ``value`` (exactly the source's), ``metric``, one column for each label,
        and ``trace_id`` where the source names one. ``.attrs`` holds ``source``, ``query``, ``step_s``, the id of the
        MLflow run as ``run_id``, and how many values were left out: ``nan`` and ``infinite``.

    Raises
    ------
    OptionError
        If an argument is not allowed.
    SecretError
        If a secret's reference leads nowhere, or a secret itself was given.
    SourceError
        If the source does not answer or refuses the query.

    Notes
    -----
    Values keep their own times in MLflow, and the step is counted from the Unix epoch: pulling the same again adds
    nothing. NaN is dropped and infinity refused, since MLflow would make a number of it; both are counted.

    Examples
    --------
    >>> from datetime import timedelta
    >>> cpu = pull("prometheus", "rate(process_cpu_seconds_total[1m])", start=timedelta(hours=1))  # doctest: +SKIP
    """
    now = datetime.now(UTC)
    made = registry.make(source)
    given = registry.checked(made, options)
    asked = _query(query, moment_ms("start", start, now), moment_ms("end", now if end is None else end, now), step)
    run_id = _run_id(run)
    try:
        found = list(made.read(asked, given))
    except (OptionError, SecretError, SourceError):
        raise
    except Exception as error:
        raise SourceError(f"the source {source!r} failed: {type(error).__name__}: {error}") from error
    kept = _finite(found)
    if kept.infinite:
        warnings.warn(
            f"{kept.infinite} infinite values of {query!r} were left out: MLflow would store them as a number",
            stacklevel=2,
        )
    frame = _frame(kept.series)
    frame.attrs = {
        "source": source, "query": query, "step_s": asked.step_ms / 1000, "nan": kept.nan, "infinite": kept.infinite,
        "run_id": None,
    }  # fmt: skip
    if store and len(frame):
        frame.attrs["run_id"] = _stored(source, asked, kept, run_id)
    return frame if traces is None else join(frame, traces)


def _query(text: Any, start_ms: int, end_ms: int, step: Any) -> Query:
    if not isinstance(text, str) or not text.strip():
        raise OptionError(f"query={text!r} is not allowed; it must be a text in the source's language")
    if end_ms <= start_ms:
        raise OptionError("start must be before end; a timedelta counts back from now")
    return Query(text=text, start_ms=start_ms, end_ms=end_ms, step_ms=step_ms(step, start_ms, end_ms))


def _run_id(run: Any) -> str | None:
    if run is None:
        return None
    run_id = run if isinstance(run, str) else getattr(run, "run_id", None)
    if not isinstance(run_id, str) or not run_id:
        shown = repr(run) if isinstance(run, str) else f"a {type(run).__name__}"
        raise OptionError(f"run: {shown} is not allowed; it must be the id of an MLflow run, or have a run_id")
    return run_id


# ---------------------------------------------------------------------------------------------------------- values


@dataclass(slots=True)
class _Kept:
    series: list[Series] = field(default_factory=list)
    nan: int = 0
    infinite: int = 0


def _finite(found: list[Series]) -> _Kept:
    kept = _Kept()
    for series in found:
        finite = [sample for sample in series.samples if math.isfinite(sample.value)]
        nan = sum(math.isnan(sample.value) for sample in series.samples)
        kept.nan += nan
        kept.infinite += len(series.samples) - len(finite) - nan
        if finite:
            kept.series.append(Series(series.metric, series.labels, finite))
    return kept


def _frame(found: list[Series]) -> pd.DataFrame:
    import pandas as pd

    names = {name: _column(name) for series in found for name in series.labels}
    rows = [(series, sample) for series in found for sample in series.samples]
    columns: dict[str, Any] = {
        "time": pd.to_datetime([sample.time_ms for _, sample in rows], unit="ms", utc=True),
        "value": pd.Series([sample.value for _, sample in rows], dtype="float64"),
        "metric": [series.metric for series, _ in rows],
    }
    # As objects, so that what is not known is None in every column
    for name in sorted(names):
        columns[names[name]] = pd.Series([series.labels.get(name) for series, _ in rows], dtype="object")
    columns["trace_id"] = pd.Series([_trace_id(sample) for _, sample in rows], dtype="object")
    return pd.DataFrame(columns)


def _column(label: str) -> str:
    """Return a label's column; one that is named as a column of ours is told apart."""
    return f"label {label}" if label in (*OWN_COLUMNS, *_FIRST_COLUMNS) else label


def _trace_id(sample: Sample) -> str | None:
    return sample.trace_id.removeprefix("tr-") if sample.trace_id else None


# ---------------------------------------------------------------------------------------------------------- MLflow


def _stored(source: str, asked: Query, kept: _Kept, run_id: str | None) -> str | None:
    """Store what was found; a store that does not take it costs the user no frame."""
    from agenttrace_nb.mlflow_store.pulled import PulledSeries, write_pulled

    settings = config.current()
    cwd = Path.cwd()
    uri = target.tracking_uri(cwd, settings.tracking_uri)
    about = {
        "source": source, "query": asked.text, "start_ms": asked.start_ms, "end_ms": asked.end_ms,
        "step_ms": asked.step_ms, "nan": kept.nan, "infinite": kept.infinite,
    }  # fmt: skip
    series = [
        PulledSeries(metric=one.metric, labels=one.labels, samples=[(s.time_ms, s.value) for s in one.samples])
        for one in kept.series
    ]
    if reason := target.refusal(uri) or target.silence(uri):
        warnings.warn(f"the values were not stored: {reason}", stacklevel=3)
        return None
    try:
        return write_pulled(
            uri, str(cwd), source=source, series=series, step_ms=asked.step_ms, about=about, run_id=run_id,
            experiment=target.experiment(settings.experiment),
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001 - whatever it is, the user has the frame
        warnings.warn(f"the values were not stored: {error}", stacklevel=3)
        return None
