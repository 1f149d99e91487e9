"""What model calls cost, by MLflow's table of prices; looked up only in the process that exports.

The journal does not know: prices are worked out where MLflow is at hand. Importing it takes seconds, which the process
that exports has, and a kernel has not.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from agenttrace_nb.spans import Span

_begun = threading.Event()
_log = logging.getLogger("agenttrace_nb.export")


def begin() -> None:
    """Look prices up from now on in this process, which is not one that runs the user's code."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # MLflow asks litellm for prices where it is installed; that fetches them over the network when imported.
    sys.modules.setdefault("litellm", None)  # type: ignore[arg-type]
    _begun.set()


def cost_of(span: Span) -> float | None:
    """Return what a model call cost in USD: what its span says, else the table's price; ``None`` if nobody knows."""
    if span.cost_usd is not None or span.kind is not SpanKind.LLM or not span.model or not _begun.is_set():
        return span.cost_usd
    from agenttrace_nb.mlflow_store.mapping import usage

    counts = usage(span)
    return _price(span.model, tuple(counts.items())) if counts else None


@lru_cache(maxsize=4096)
def _price(model: str, counts: tuple[tuple[str, int], ...]) -> float | None:
    try:
        from agenttrace_nb.mlflow_store.stored import price_of

        price = price_of(model, dict(counts))
    except Exception:
        _log.debug("no price of %s", model, exc_info=True)
        return None
    return None if price is None else price.get("total_cost")
