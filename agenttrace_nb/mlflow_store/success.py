"""What was said of runs: whether they succeeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store import tables
from agenttrace_nb.mlflow_store.target import shown, silence

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROWS, _RUNS = 500, 100  # of one statement; in one filter of MLflow's
_MEANS = {"true": True, "false": False}


def success_of(uri: str, run_ids: Sequence[str]) -> dict[str, bool | None]:
    """Return whether runs succeeded, by run id; ``None`` of those of which nothing was said.

    Raises
    ------
    ConnectionError
        If the store does not answer.
    """
    tags = _in_tables(uri, run_ids)
    if tags is None:
        tags = _through_mlflow(uri, run_ids)
    return {run_id: _MEANS.get(tags.get(run_id, "")) for run_id in run_ids}


def _in_tables(uri: str, run_ids: Sequence[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for start in range(0, len(run_ids), _ROWS):
        tags = tables.run_tags(uri, run_ids[start : start + _ROWS], names.SUCCESS)
        if tags is None:
            return None
        found.update(tags)
    return found


def _through_mlflow(uri: str, run_ids: Sequence[str]) -> dict[str, str]:
    if reason := silence(uri):
        raise ConnectionError(reason)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client, found = MlflowClient(uri), {}
    try:
        places = [e.experiment_id for e in client.search_experiments()]
        for start in range(0, len(run_ids), _RUNS):
            listed = ", ".join(f"'{run_id}'" for run_id in run_ids[start : start + _RUNS])
            for run in client.search_runs(places, f"attributes.run_id IN ({listed})", max_results=_RUNS):
                found[run.info.run_id] = str(run.data.tags.get(names.SUCCESS))
    except (MlflowException, OSError) as error:
        msg = f"MLflow at {shown(uri)} cannot be read ({str(error).splitlines()[0][:200]})"
        raise ConnectionError(msg) from error
    return found
