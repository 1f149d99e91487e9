"""Traces that a search found: known by their heads, restored when somebody looks at them."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from agenttrace_nb.mlflow_store import attributes as names
from agenttrace_nb.mlflow_store import traces
from agenttrace_nb.mlflow_store.columns import SpanColumns
from agenttrace_nb.mlflow_store.quick_columns import NotOursError, columns_of
from agenttrace_nb.mlflow_store.success import success_of
from agenttrace_nb.mlflow_store.target import shown
from agenttrace_nb.spans import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agenttrace_nb.mlflow_store.restore import TraceHead


# One for all sets, since one of its own would keep a set from being copied
_READING = threading.Lock()


class FoundTraces(Sequence[Trace]):
    """The traces of a tracking store that have these heads, each restored once, when it is first looked at.

    Looking raises `ConnectionError` if the store no longer answers. A trace that was deleted since says so in its
    ``problem``.

    Parameters
    ----------
    uri
        The tracking URI.
    heads
        What MLflow says of each.
    """

    def __init__(self, uri: str, heads: Iterable[TraceHead] = ()) -> None:
        self._uri = uri
        self._heads = list(heads)
        self._shown = shown(uri)
        self._whole: dict[int, Trace] = {}
        self._columns = SpanColumns()  # of those that need not be restored for it
        self._in_columns: dict[int, tuple[Trace, slice]] = {}
        self._success: dict[str, bool | None] | None = None

    def __len__(self) -> int:
        """Count the traces."""
        return len(self._heads)

    @overload
    def __getitem__(self, at: int) -> Trace: ...
    @overload
    def __getitem__(self, at: slice) -> list[Trace]: ...
    def __getitem__(self, at: int | slice) -> Trace | list[Trace]:
        """Return one trace, or several."""
        places = range(len(self._heads))[at]
        return self._take(places) if isinstance(places, range) else self._take([places])[0]

    def __iter__(self) -> Iterator[Trace]:
        """Give the traces, restored some hundreds at a time."""
        for batch in _batches(range(len(self._heads))):
            yield from self._take(batch)

    def with_ids(self, trace_ids: Iterable[str]) -> list[Trace]:
        """Return those of the traces that have these ids, in the order of the ids."""
        place = {names.own_trace_id(head.trace_id): at for at, head in enumerate(self._heads)}
        return self._take([place[one] for one in trace_ids if one in place])

    def add(self, others: FoundTraces, places: Iterable[int]) -> None:
        """Add traces that others hold at these places, with what has been read of them."""
        for at in places:
            new = len(self._heads)
            self._heads.append(others._heads[at])
            if at in others._whole:
                self._whole[new] = others._whole[at]
            elif at in others._in_columns:
                trace, spans = others._in_columns[at]
                self._columns.add_from(others._columns, trace, spans)
                self._in_columns[new] = trace, self._columns.last()

    def columns(self) -> SpanColumns:
        """Return the spans of all traces as columns, without restoring traces for it that need not be."""
        self._read_columns()
        if not self._whole:
            return self._columns
        made = SpanColumns()
        for at in range(len(self._heads)):
            if at in self._whole:
                made.add_trace(self._whole[at])
            else:
                made.add_from(self._columns, *self._in_columns[at])
        return made

    def success(self) -> dict[str, bool | None]:
        """Return what was said of the traces' runs, by run id: ``None`` where nothing was; asked for once."""
        if self._success is None:
            self._read_columns()
            known = [*self._whole.values(), *self._columns.traces]
            self._success = success_of(self._uri, sorted({trace.run_id for trace in known if trace.run_id is not None}))
        return self._success

    def _take(self, places: Sequence[int]) -> list[Trace]:
        with _without_collector():
            for batch in _batches([at for at in places if at not in self._whole]):
                for at, trace in zip(batch, traces.of_heads(self._uri, [self._heads[at] for at in batch]), strict=True):
                    self._whole.setdefault(at, trace)  # another thread may have been faster
        return [self._whole[at] for at in places]

    def _read_columns(self) -> None:
        with _READING, _without_collector():
            missing = [at for at in range(len(self._heads)) if at not in self._whole and at not in self._in_columns]
            for batch in _batches(missing):
                there = traces.contents(self._uri, [self._heads[at] for at in batch])
                for at in batch:
                    if (stored := there.get(self._heads[at].trace_id)) is not None:
                        self._keep(at, *stored)
                self._take([at for at in batch if at not in self._in_columns])

    def _keep(self, at: int, text: str, count: int) -> None:
        try:
            trace, spans = columns_of(self._heads[at], text, count)
        except NotOursError:
            self._whole.setdefault(at, traces.from_content(self._uri, self._heads[at], text, count))
            return
        trace.tracking_uri = self._shown
        self._columns.add(trace, spans)
        self._in_columns[at] = trace, self._columns.last()


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Keep the garbage collector from walking again and again through what is just being made: a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _batches(places: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(places), traces.BATCH):
        yield places[start : start + traces.BATCH]
