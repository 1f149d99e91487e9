"""Metrics for Prometheus to fetch: an address on this machine, in OpenMetrics, with exemplars that name the trace."""

from __future__ import annotations

import contextlib
import errno
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb.export.handler import API_VERSION, Answer, Retry, Sent
from agenttrace_nb.export.metrics import BOUNDS_S, METRICS, MetricBook
from agenttrace_nb.export.registry import is_reference
from agenttrace_nb.spans import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric as Family

    from agenttrace_nb.export.handler import Context, Item
    from agenttrace_nb.export.metrics import Exemplar, Metric, Point

_LOOPBACK = "127.0.0.1"
_HIGHEST_PORT = 65_535
_UNITS = {"s": "seconds", "USD": "usd"}
_NOT_IN_FILES = re.compile(r"[^\w.-]")


def family_name(metric: Metric) -> str:
    """Return a metric's name in Prometheus, without the suffixes of its samples.

    Examples
    --------
    >>> [family_name(metric) for metric in METRICS][:2]
    ['gen_ai_invoke_agent_duration_seconds', 'gen_ai_execute_tool_duration_seconds']
    """
    unit = _UNITS.get(metric.unit)
    return "_".join(filter(None, (metric.name.replace(".", "_"), unit)))


class BookCollector:
    """Gives a book to prometheus_client each time that it is asked.

    Parameters
    ----------
    book
        The book.
    resource
        What process this is, for ``target_info``.
    """

    def __init__(self, book: MetricBook, resource: Mapping[str, str]) -> None:
        self._book = book
        self._resource = {re.sub(r"\W", "_", name): value for name, value in resource.items()}

    def collect(self) -> Iterator[Family]:
        """Give every metric, also one that has no series yet."""
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, InfoMetricFamily

        now = self._book.snapshot()
        for metric in METRICS:
            series = now.series.get(metric, {})
            if metric.kind == "histogram":
                histogram = HistogramMetricFamily(family_name(metric), metric.about, labels=metric.labels)
                for labels, point in series.items():
                    histogram.add_metric(labels, list(_buckets(point)), point.value)
                yield histogram
            else:
                counter = CounterMetricFamily(family_name(metric), metric.about, labels=metric.labels)
                for labels, point in series.items():
                    counter.add_metric(labels, point.value, exemplar=_exemplar(point.exemplars.get(0)))
                yield counter
        yield InfoMetricFamily("target", "The process that these are of", self._resource)


def registry_of(book: MetricBook, resource: Mapping[str, str]) -> CollectorRegistry:
    """Return a registry of prometheus_client that holds a book and nothing else."""
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    registry.register(BookCollector(book, resource))
    return registry


def _buckets(point: Point) -> Iterator[tuple[str, float, Any]]:
    total = 0
    for at, bound in enumerate((*map(_shortest, BOUNDS_S), "+Inf")):
        total += point.counts[at]
        yield bound, total, _exemplar(point.exemplars.get(at))


def _shortest(bound: float) -> str:
    return f"{bound:.10g}"


def _exemplar(found: Exemplar | None) -> Any:
    from prometheus_client.samples import Exemplar as Shown

    return found and Shown({"trace_id": found.trace_id}, found.value, found.time_ns / NS_PER_S)


class PrometheusHandler:
    """Serves the metrics at ``http://127.0.0.1:PORT/metrics`` for as long as this process lives.

    What it counts begins with the process: Prometheus sees a counter that was reset, as with any program.

    Attributes
    ----------
    where
        Where it serves, once it is open: one line for the user.
    """

    api_version = API_VERSION
    options: Mapping[str, str] = {
        "port": "port to serve at, 1 to 65535; without it a free one is chosen",
        "discovery": "folder to write the address into, for Prometheus' file_sd_configs; taken away at the end",
    }
    required: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()

    _context: Context
    _wanted: int

    def __init__(self) -> None:
        self._book = MetricBook()
        self._server: Any = None
        self._thread: Any = None
        self._told: Path | None = None
        self.where = ""
        self.port: int | None = None

    @staticmethod
    def prepare(options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options with the folder as it is from any other: later kernels begin elsewhere.

        Raises
        ------
        ValueError
            If the port is none.
        """
        known = dict(options)
        if not is_reference(known.get("port")):
            _port(known.get("port", 0))
        if "discovery" in known and not is_reference(known["discovery"]):
            known["discovery"] = str(Path(str(known["discovery"])).expanduser().absolute())
        return known

    def open(self, context: Context) -> None:
        """Begin to serve; a port that somebody else has is tried again with each batch.

        Raises
        ------
        ValueError
            If an option has a wrong value, or the port may not be used.
        """
        self._context = context
        self._wanted = _port(context.options.get("port", 0))
        self._serve()

    def export(self, batch: tuple[Item, ...]) -> Answer:
        """Count what ended; Prometheus fetches it in its own time."""
        if self._server is None and not self._serve():
            reason = f"port {self._wanted} is in use, by another kernel perhaps, or this one's before it was restarted"
            return Retry(reason=f"{reason}. Without port a free one is chosen and told")
        self._book.take(batch)
        return Sent()

    def close(self) -> None:
        """End; what Prometheus did not fetch by now it does not get."""
        if self._told is not None:
            self._told.unlink(missing_ok=True)
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def _serve(self) -> bool:
        from prometheus_client import start_http_server

        resource = self._context.resource
        try:
            self._server, self._thread = start_http_server(
                self._wanted, _LOOPBACK, registry_of(self._book, resource)
            )  # fmt: skip
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise ValueError(f"port={self._wanted} cannot be used: {error.strerror}") from None
        self.port = self._server.server_port
        self.where = f"serves http://{_LOOPBACK}:{self.port}/metrics"
        if folder := self._context.options.get("discovery"):
            self._tell(Path(str(folder)).expanduser(), resource)
        return True

    def _tell(self, folder: Path, resource: Mapping[str, str]) -> None:
        instance = resource.get("service.instance.id") or str(self.port)
        file = folder / f"agenttrace-{_NOT_IN_FILES.sub('_', instance)}.json"
        aside = file.with_suffix(".new")  # Prometheus must not read half of it
        try:
            folder.mkdir(parents=True, exist_ok=True)
            aside.write_text(json.dumps([{"targets": [f"{_LOOPBACK}:{self.port}"]}]), "utf-8")
            aside.replace(file)
        except OSError as error:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            self.close()
            raise ValueError(f"discovery={str(folder)!r} cannot be written to: {error.strerror}") from None
        self._told = file


def _port(given: object) -> int:
    try:
        port = int(str(given))
    except ValueError:
        port = -1
    if not 0 <= port <= _HIGHEST_PORT:
        raise ValueError(f"port={given!r} is not allowed; it must be a whole number from 1 to {_HIGHEST_PORT}")
    return port
