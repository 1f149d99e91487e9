"""What MLflow holds, read in the ways that its users read it."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow

from agenttrace_nb.journal.fold import Fold
from agenttrace_nb.journal.read import JournalReader
from agenttrace_nb.mlflow_store import adapter
from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store.restore import to_trace
from agenttrace_nb.spans import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow.entities import Run
    from mlflow.entities import Trace as MlflowTrace

    from agenttrace_nb.spans import Trace

PAGE = 500


class Stored:
    """An MLflow store. Making one points MLflow's own functions at it.

    Parameters
    ----------
    uri
        Its tracking URI.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        mlflow.set_tracking_uri(uri)
        self.client = mlflow.MlflowClient(uri)

    def experiment_id(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        assert found is not None, f"no experiment {name!r}"
        return str(found.experiment_id)

    def runs(self, experiment: str, where: str = "") -> list[Run]:
        """All runs of an experiment, oldest first; none if there is no such experiment."""
        found = self.client.get_experiment_by_name(experiment)
        runs: list[Run] = []
        token = None
        while found is not None:
            page = self.client.search_runs(
                [found.experiment_id], where, max_results=PAGE, order_by=["start_time ASC"], page_token=token
            )
            runs += page
            token = page.token
            if not token:
                break
        return runs

    def cell_runs(self, experiment: str) -> dict[str, Run]:
        """The runs of cells and blocks, by their key; a key that is there twice is an error."""
        runs = [run for run in self.runs(experiment) if "index" not in run.data.tags]
        by_key = {run.data.tags.get(names.KEY, run.info.run_id): run for run in runs}
        assert len(by_key) == len(runs), "a run is there twice"
        return by_key

    def message_runs(self, experiment: str, parent_run_id: str) -> list[Run]:
        """The runs of agent messages under a run, in the order of their index."""
        found = self.runs(experiment, f"tags.`mlflow.parentRunId` = '{parent_run_id}'")
        return sorted((r for r in found if "index" in r.data.tags), key=lambda r: int(r.data.tags["index"]))

    def traces(self, experiment: str, **how: Any) -> dict[str, MlflowTrace]:
        """The traces of an experiment as ``mlflow.search_traces`` gives them, with their spans, by our id."""
        found = mlflow.search_traces(
            locations=[self.experiment_id(experiment)], include_spans=True, return_type="list", max_results=5000, **how
        )
        return {names.own_trace_id(trace.info.trace_id): trace for trace in found}

    def trace(self, trace_id: str) -> MlflowTrace:
        """A trace as ``mlflow.get_trace`` gives it."""
        found = mlflow.get_trace(names.mlflow_trace_id(trace_id))
        assert found is not None, f"mlflow.get_trace does not read {trace_id}"
        return found


def restored(trace: MlflowTrace) -> Trace:
    """A trace as our reader gives it back."""
    return to_trace(adapter.to_head(trace.info), adapter.to_records(trace))


def message_of(run: Run) -> dict[str, Any]:
    """The file of an agent message's run."""
    return json.loads(
        Path(mlflow.artifacts.download_artifacts(f"{run.info.artifact_uri}/message.json")).read_text("utf-8")
    )


# ----------------------------------------------------------------------------------------------------------- waiting


def wait_until(true: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """Ask again and again until something is true; return it."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = true()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(0.1)


def journals(state: Path) -> list[Path]:
    """The journals under a state directory, oldest first."""
    return sorted((state / "journals").glob("*.journal"))


def undelivered(path: Path) -> str:
    """Say what of a journal has not been dealt with; nothing if all of it has, and nothing in it is open."""
    with closing(JournalReader(path)) as reader:
        fold = Fold(reader.item)
        for event in reader.events():
            fold.apply(event)
        last = reader.last_seq()
    still = [run.name for run in fold.runs.values() if run.status is Status.RUNNING]
    if still:
        return f"open runs: {still}"
    for name in ("mlflow", "message-runs"):
        try:
            saved = json.loads(path.with_suffix(f".{name}.json").read_text("utf-8"))
        except FileNotFoundError:
            return f"{name}: not begun"
        if saved["cursor"] < last:
            return f"{name}: {saved['cursor']} of {last}"
    return ""


def wait_until_delivered(state: Path, timeout_s: float = 60) -> None:
    """Wait until followers have dealt with every journal to its end."""
    deadline = time.monotonic() + timeout_s
    while True:
        left = {path.name: what for path in journals(state) if (what := undelivered(path))}
        if not left and journals(state):
            return
        if time.monotonic() > deadline:
            logs = "\n".join(log.read_text("utf-8")[-2000:] for log in (state / "journals").glob("*.log"))
            raise AssertionError(f"not delivered within {timeout_s:.0f} s: {left}\n{logs}")
        time.sleep(0.2)
