"""Writing a journal to MLflow in a test, and looking at what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agenttrace_nb.mlflow_store.trace_writer import TraceWriter

if TYPE_CHECKING:
    import mlflow

    from agenttrace_nb.journal.append import Journal
    from agenttrace_nb.mlflow_store.stores import Stores

PRICED = frozenset({"cost_usd", "run_id", "tags", "user"})


def write(journal: Journal, stores: Stores, told: list[dict], steps: int = 6, **options) -> TraceWriter:
    """Write everything that a journal holds, in this process."""
    writer = TraceWriter(journal.path, stores, told.append, **options)
    for _ in range(steps):
        writer.step(hurry=True)
    writer.close()
    return writer


def runs(client: mlflow.MlflowClient) -> list:
    found = client.search_experiments()
    return client.search_runs([e.experiment_id for e in found], order_by=["attributes.start_time"])


def problems(told: list[dict]) -> list[str]:
    return [message["problem"] for message in told if "problem" in message]
