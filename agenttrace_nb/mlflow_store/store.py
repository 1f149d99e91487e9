"""One MLflow store: experiments, runs and traces, with errors that say whether trying again can help."""

from __future__ import annotations

import contextlib
import os
import threading
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.entities import AssessmentSource, Feedback, Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

from agenttrace_nb.mlflow_store import adapter
from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.records import MetricPoint, clean
from agenttrace_nb.mlflow_store.restore import to_trace
from agenttrace_nb.mlflow_store.runs import MS_IN_NS, success_tags
from agenttrace_nb.mlflow_store.target import refusal, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlflow.entities import Experiment

    from agenttrace_nb.mlflow_store.records import SpanRecord
    from agenttrace_nb.mlflow_store.restore import TraceHead
    from agenttrace_nb.spans import Trace

LINKS_PER_CALL = 100
METRICS_PER_CALL = 1000
NAMES_PER_CALL = 100
_ID = "id:"
_TRY_AGAIN = frozenset({401, 403, 408, 425, 429, 500, 502, 503, 504})
_ELSEWHERE = " What was traced is kept; `agenttrace-nb recover --tracking-uri sqlite:///mlflow.db` delivers it."
_PATHS = threading.Lock()


class StoreError(Exception):
    """MLflow did not take something; the message is for the user and names the next step."""


class StoreUnavailableError(StoreError):
    """It may take it later."""


class StoreRefusedError(StoreError):
    """It will not take it however often it is asked."""


class Store:
    """A tracking URI that runs and traces are written to.

    Parameters
    ----------
    uri
        The tracking URI.
    cwd
        The folder that MLflow's relative artifact paths start from.

    Raises
    ------
    StoreRefusedError
        If this kind of store cannot hold the traces.
    StoreUnavailableError
        If it does not answer.
    """

    def __init__(self, uri: str, cwd: str | None = None) -> None:
        if told := refusal(uri):
            raise StoreRefusedError(told + _ELSEWHERE)
        self.uri = uri
        self._experiments: dict[str, str] = {}
        if uri.startswith("sqlite:"):
            from agenttrace_nb.mlflow_store import database

            with self._asked():
                database.make_whole(uri)
        with self._asked(), _in_folder(cwd):
            self._client = mlflow.MlflowClient(uri)
            if uri.startswith("http"):
                self._check_version()
            else:
                self._client.get_experiment("0")

    def _check_version(self) -> None:
        version = adapter.server_version(self.uri)
        if version is None:
            self._client.get_experiment("0")  # fails too, and says why
            raise StoreUnavailableError(_silent(self.uri, "no answer"))
        if version < adapter.LOWEST_SERVER:
            msg = (
                f"The MLflow server at {shown(self.uri)} has version {version[0]}.{version[1]}; writing whole "
                "traces needs 3.4 or newer. Upgrade the server, or unset MLFLOW_TRACKING_URI to write to this machine."
            )
            raise StoreRefusedError(msg)

    # -- experiments and runs ----------------------------------------------------------------------------------

    def experiment_id(self, wanted: str | None, cwd: str | None = None) -> str:
        """Return the id of an experiment; make the experiment if there is none of that name.

        Parameters
        ----------
        wanted
            Its name, or ``id:`` and its id; ``None`` for MLflow's default one.
        cwd
            The folder that a new experiment's relative artifact path starts from.

        Raises
        ------
        StoreRefusedError
            If it was deleted, or the id does not exist.
        """
        key = wanted or ""
        if key not in self._experiments:
            with self._asked(), _in_folder(cwd):
                self._experiments[key] = self._find_or_make(wanted)
        return self._experiments[key]

    def _find_or_make(self, wanted: str | None) -> str:
        found: Experiment | None
        if wanted is None or wanted.startswith(_ID):
            found = self._client.get_experiment("0" if wanted is None else wanted.removeprefix(_ID))
        else:
            found = self._client.get_experiment_by_name(wanted)
            if found is None:
                try:
                    return str(self._client.create_experiment(wanted))
                except MlflowException as error:  # somebody else has just made it
                    found = self._client.get_experiment_by_name(wanted)
                    if found is None:
                        raise error from None
        if found.lifecycle_stage != "active":
            number = found.experiment_id
            msg = (
                f"The experiment {found.name!r} was deleted. Restore it (`mlflow experiments restore --experiment-id "
                f"{number}`) and run `agenttrace-nb recover`, or choose another with --experiment. "
                "What was traced is kept in the journal."
            )
            raise StoreRefusedError(msg)
        return str(found.experiment_id)

    def forget_experiment(self, wanted: str | None) -> None:
        """Look the experiment up again the next time: it may have been deleted or restored."""
        self._experiments.pop(wanted or "", None)

    def create_run(self, experiment_id: str, name: str, start_ms: int, tags: dict[str, str]) -> str:
        """Make a run and return its id."""
        tags = {clean(key): clean(value) for key, value in tags.items()}  # names of agents may hold anything
        with self._asked():
            run = self._client.create_run(experiment_id, start_time=start_ms, tags=tags, run_name=clean(name))
        return str(run.info.run_id)

    def find_runs(self, experiment_id: str, tag: str, value: str) -> dict[str, tuple[str, str]]:
        """Return id and status of the runs that carry a tag, by their ``agenttrace.key``."""
        quoted = value.replace("'", "''")
        found: dict[str, tuple[str, str]] = {}
        token = None
        with self._asked():
            while True:
                page = self._client.search_runs(
                    [experiment_id], f"tags.`{tag}` = '{quoted}'", ViewType.ACTIVE_ONLY, 1000, page_token=token
                )
                for run in page:
                    key = run.data.tags.get(names.KEY, run.info.run_id)
                    found.setdefault(key, (run.info.run_id, run.info.status))
                token = page.token
                if not token:
                    return found

    def log(
        self,
        run_id: str,
        metrics: Iterable[MetricPoint] = (),
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        """Add metrics, parameters and tags to a run, in as few calls as MLflow allows."""
        points = [Metric(p.key, p.value, p.time_ms, p.step) for p in metrics]
        pairs = [Param(k, v) for k, v in (params or {}).items()]
        marks = [RunTag(k, v) for k, v in (tags or {}).items()]
        while points or pairs or marks:
            with self._asked():
                self._client.log_batch(
                    run_id,
                    points[: METRICS_PER_CALL - 2 * NAMES_PER_CALL],
                    pairs[:NAMES_PER_CALL],
                    marks[:NAMES_PER_CALL],
                )
            points = points[METRICS_PER_CALL - 2 * NAMES_PER_CALL :]
            pairs, marks = pairs[NAMES_PER_CALL:], marks[NAMES_PER_CALL:]

    def log_text(self, run_id: str, text: str, file_name: str) -> None:
        """Add a text to a run as an artifact."""
        with self._asked():
            self._client.log_text(run_id, text, file_name)

    def log_file(self, run_id: str, path: str, folder: str | None = None) -> None:
        """Add a file or a folder to a run as an artifact."""
        with self._asked():
            (self._client.log_artifacts if Path(path).is_dir() else self._client.log_artifact)(run_id, path, folder)

    def finish_run(self, run_id: str, status: str, end_ms: int) -> None:
        """End a run: ``FINISHED``, ``FAILED`` or ``KILLED``."""
        with self._asked():
            self._client.set_terminated(run_id, status, end_ms)

    # -- traces ------------------------------------------------------------------------------------------------

    def log_traces(self, experiment_id: str, records: list[SpanRecord]) -> None:
        """Write the spans of any number of traces at once."""
        with self._asked():
            adapter.log_spans(self.uri, experiment_id, records)

    def find_trace(self, trace_id: str) -> Trace | None:
        """Return a trace as it is stored, ``None`` if there is none."""
        with self._asked():
            try:
                found = adapter.read_partial(self.uri, names.mlflow_trace_id(trace_id))
            except MlflowException as error:
                if _http_status(error) == HTTPStatus.NOT_FOUND:
                    return None
                raise
        return to_trace(adapter.to_head(found.info), adapter.to_records(found))

    def correct_trace(self, experiment_id: str, root: SpanRecord, totals: dict[str, dict[str, float]]) -> None:
        """Set state, times and totals of a trace that went on after it had been written."""
        with self._asked():
            adapter.correct_trace(self.uri, experiment_id, root, totals)

    def link(self, trace_ids: list[str], run_id: str) -> None:
        """Show traces with a run."""
        for start in range(0, len(trace_ids), LINKS_PER_CALL):
            chunk = [names.mlflow_trace_id(t) for t in trace_ids[start : start + LINKS_PER_CALL]]
            with self._asked():
                self._client.link_traces_to_run(chunk, run_id)

    def take_feedback(self, said: dict[str, Any]) -> bool:
        """Add what somebody said to a trace, once; return whether the trace is there."""
        trace_id = names.mlflow_trace_id(said["trace_id"])
        with self._asked():
            try:
                known, head = adapter.read_feedback(self.uri, trace_id)
            except MlflowException as error:
                if _http_status(error) == HTTPStatus.NOT_FOUND:
                    return False
                raise
            if any((one.metadata or {}).get(names.KEY) == said["key"] for one in known):
                return True
            adapter.write_feedback(self.uri, trace_id, _feedback(said))
        if isinstance(said["value"], bool) and not said.get("span_id"):
            self._rate_run(head, said["value"], said["time_ns"] // MS_IN_NS)
        return True

    def _rate_run(self, head: TraceHead, ok: bool, now_ms: int) -> None:  # noqa: FBT001 - what was said
        key = head.tags.get(names.RUN_KEY)
        found = self.find_runs(head.experiment_id, names.KEY, key) if key is not None else {}
        runs: list[str | None] = [run_id for run_id, _ in found.values()]
        for run_id in filter(None, runs or [head.run_id]):
            self.log(run_id, [MetricPoint("success", float(ok), now_ms)], tags=success_tags(ok))

    # -- errors ------------------------------------------------------------------------------------------------

    def connect_anew(self) -> None:
        """Use no connection any more that was made before: after a trouble it may be of no use."""
        adapter.drop_connections(self.uri)

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except MlflowException as error:
            raise self._error(error, _http_status(error)) from error
        except NotImplementedError as error:
            adapter.server_version(self.uri)  # clears the memory of an unanswered question
            raise self._error(error, 503) from error
        except (OSError, ConnectionError) as error:  # requests' errors are OSErrors too
            raise self._error(error, 503) from error
        except Exception as error:
            raise self._error(error, 503 if _is_database_error(error) else 400) from error

    def _error(self, error: Exception, status: int) -> StoreError:
        reason = _first_line(error)
        if status in {401, 403}:
            msg = (
                f"MLflow at {shown(self.uri)} refuses these credentials ({reason}). What was traced is kept in the "
                "journal; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, and it "
                "is sent."
            )
            return StoreUnavailableError(msg)
        if status in _TRY_AGAIN:
            return StoreUnavailableError(_silent(self.uri, reason))
        msg = (
            f"MLflow at {shown(self.uri)} does not take this: {reason} What was traced is kept in the journal; "
            "put that right and run `agenttrace-nb recover`."
        )
        return StoreRefusedError(msg)


def _feedback(said: dict[str, Any]) -> Feedback:
    return Feedback(
        name=said["name"], value=said["value"], rationale=said.get("comment"), span_id=said.get("span_id"),
        source=AssessmentSource("HUMAN", said.get("user") or "unknown"), metadata={names.KEY: said["key"]},
        create_time_ms=said["time_ns"] // MS_IN_NS,
    )  # fmt: skip


def _http_status(error: MlflowException) -> int:
    status: int = error.get_http_status_code()  # type: ignore[no-untyped-call] # MLflow's
    return status


def _silent(uri: str, reason: str) -> str:
    remedy = (
        "start the server, or check MLFLOW_TRACKING_URI" if uri.startswith("http") else "check the file and the disk"
    )
    return (
        f"MLflow at {shown(uri)} cannot be written to at the moment ({reason}). What was traced is kept in the journal "
        f"and sent as soon as that works: {remedy}."
    )


def _first_line(error: Exception) -> str:
    text = str(error) or type(error).__name__
    cause = error.__cause__ or error.__context__
    if isinstance(error, MlflowException) and isinstance(cause, OSError):
        inner: Any = cause.args[0] if cause.args else cause
        text = str(getattr(inner, "reason", inner))
    for told in (error, cause):  # a database's own words, without SQLAlchemy's around them
        text = str(getattr(told, "orig", None) or text)
    return text.strip().splitlines()[0][:300]


def _is_database_error(error: Exception) -> bool:
    from sqlalchemy.exc import SQLAlchemyError

    return isinstance(error, SQLAlchemyError)


@contextlib.contextmanager
def _in_folder(cwd: str | None) -> Iterator[None]:
    """Work in a folder: MLflow's default place for artifacts is relative to where a store is first opened."""
    with _PATHS:
        before = None
        try:
            if cwd is not None:
                before = Path.cwd()
                os.chdir(cwd)
        except OSError:
            before = None
        try:
            yield
        finally:
            if before is not None:
                os.chdir(before)
