"""A set of traces as a list of runs: one line each, and the frame that the browser draws it from.

The frame is packed as `wire` says, with one column for each thing that is known of a run; ``js/src/runs/list.ts`` reads
it. ``id`` holds 16 bytes a run. ``started`` is ms since the epoch, ``latency`` ms. Unknown is -1, NaN, 0 (no text).
"""

from __future__ import annotations

import hashlib
import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.spans import SpanKind, Status
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views import labels, wire
from agenttrace_nb.views.safe_text import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from agenttrace_nb.analysis.trace_set import TraceSet
    from agenttrace_nb.spans import Trace

ROW_LIMIT = 10_000
UNKNOWN = "—"
_ID_BYTES = 16
_SUCCESS = {None: 0, False: 1, True: 2}


@dataclass(slots=True, frozen=True)
class RunLine:
    """One run of the list. What is not known is ``None``.

    Attributes
    ----------
    latency_s
        From its start to its end; ``None`` while it runs and for a conversation without a clock.
    tokens
        In and out, of all LLM calls.
    errors
        Steps in which an error began.
    problem
        Why the record is not complete.
    """

    trace_id: str
    name: str
    arch: str | None
    case: str | None
    trial: str | None
    status: Status
    success: bool | None
    start_ns: int | None
    latency_s: float | None
    turns: int | None
    tools: int | None
    tokens: int | None
    cost_usd: float | None
    errors: int | None
    problem: str | None


@dataclass(slots=True, frozen=True)
class Group:
    """The runs of one architecture, ``None`` for those without. ``rate`` is the share of ``of`` runs that went well.

    Attributes
    ----------
    judged
        Whether that share is of runs of which success was said; else of those that are over, counted as well where
        they completed.
    """

    arch: str | None
    runs: int
    of: int
    rate: float | None
    judged: bool
    median_s: float | None

    def line(self) -> str:
        """Return the group in a few words."""
        word = "successful" if self.judged else "completed"
        parts = [f"{self.arch or 'no architecture'}: {self.runs:,} {fmt.plural(self.runs, 'run')}"]
        if self.rate is not None:
            parts.append(f"{self.rate:.0%} {word}".replace("%", " %"))
        if self.median_s is not None:
            parts.append(f"median {fmt.seconds(self.median_s)}")
        return " · ".join(parts)


class RunList:
    """The lines of a set of traces.

    Parameters
    ----------
    found
        The set. Beyond 10,000 traces the rest is not listed, which `notes` says.
    """

    def __init__(self, found: TraceSet) -> None:
        self.traces: list[Trace] = list(found)[:ROW_LIMIT]
        self.lines = [run_line(trace, found.success(trace)) for trace in self.traces]
        self.total = len(found)
        ids = "\n".join(line.trace_id for line in self.lines)
        self.key = "l" + hashlib.sha256(ids.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        self.notes = list(_notes(found, self.lines))

    def frame(self, *, openable: Collection[int] | None = None) -> bytes:
        """Return the list as one frame.

        Parameters
        ----------
        openable
            The lines that can be opened where the frame goes; ``None``: all, the kernel is asked.
        """
        lines, strings = self.lines, wire.Strings()
        columns = [
            wire.column("id", "u1", b"".join(_id_bytes(line.trace_id) for line in lines)),
            wire.column("status", "u1", (wire.STATUSES[line.status] for line in lines)),
            wire.column("success", "u1", (_SUCCESS[line.success] for line in lines)),
            wire.column("started", "f8", (wire.real(_ms(line.start_ns)) for line in lines)),
            wire.column("latency", "f8", (wire.real(_scaled(line.latency_s, 1e3)) for line in lines)),
            *(wire.column(name, "u4", (strings.of_name(getattr(line, name)) for line in lines)) for name in _TEXTS),
            *(wire.column(name, "i4", (wire.whole(getattr(line, name)) for line in lines)) for name in _COUNTS),
            wire.column("cost", "f8", (wire.real(line.cost_usd) for line in lines)),
        ]
        header = {
            "v": wire.VERSION, "seq": 1, "base": 0, "rows": len(lines), "now": 0, "cols": [], "strings_at": 0,
            "strings": strings.texts,
            "run": {"key": self.key, "notes": self.notes, "openable": None if openable is None else sorted(openable)},
        }  # fmt: skip
        return wire.packed(header, columns)


_TEXTS = ("name", "arch", "case", "trial", "problem")
_COUNTS = ("turns", "tools", "tokens", "errors")


def run_line(trace: Trace, success: bool | None) -> RunLine:  # noqa: FBT001 - what was said of the run
    """Return what the list says of a trace."""
    kinds: Counter[SpanKind] = Counter()
    tokens: list[int] = []
    costs: list[float] = []
    failed = False
    for span in trace.spans:
        kinds[span.kind] += 1
        failed = failed or span.status is Status.ERROR
        if span.kind is SpanKind.LLM:
            tokens += [n for n in (span.input_tokens, span.output_tokens) if n is not None]
            costs += [] if span.cost_usd is None else [span.cost_usd]
    known = bool(trace.spans)
    # A conversation that was built from messages begins at 0 and its times only count them.
    timed = trace.start_ns > 0
    return RunLine(
        trace_id=trace.trace_id,
        name=one_line(trace.name, labels.NAME_LIMIT),
        arch=_tag(trace, "arch"),
        case=_tag(trace, "case"),
        trial=_tag(trace, "trial"),
        status=trace.status,
        success=success,
        start_ns=trace.start_ns if timed else None,
        latency_s=trace.duration_s if timed else None,
        turns=kinds[SpanKind.TURN] or None,
        tools=kinds[SpanKind.TOOL] if known else None,
        tokens=sum(tokens) if tokens else None,
        cost_usd=sum(costs) if costs else None,
        errors=_errors(trace, failed=failed) if known else None,
        problem=trace.problem,
    )


def groups(lines: Iterable[RunLine]) -> list[Group]:
    """Return what each architecture's runs come to, the largest group first."""
    by_arch: dict[str | None, list[RunLine]] = {}
    for line in lines:
        by_arch.setdefault(line.arch, []).append(line)
    found = [_group(arch, its) for arch, its in by_arch.items()]
    return sorted(found, key=lambda group: (-group.runs, group.arch or ""))


def _group(arch: str | None, lines: Sequence[RunLine]) -> Group:
    said = [line.success for line in lines if line.success is not None]
    ended = [line.status is Status.OK for line in lines if line.status is not Status.RUNNING]
    went = said or ended
    took = [line.latency_s for line in lines if line.latency_s is not None]
    return Group(
        arch=arch,
        runs=len(lines),
        of=len(went),
        rate=sum(went) / len(went) if went else None,
        judged=bool(said),
        median_s=statistics.median(took) if took else None,
    )


def _errors(trace: Trace, *, failed: bool) -> int | None:
    if failed:
        return len(trace.errors)
    # It failed, and no step says where: how many errors there were is not known.
    return None if trace.status is Status.ERROR else 0


def _notes(found: TraceSet, lines: Sequence[RunLine]) -> Iterable[str]:
    if found.truncated:
        yield f"There are more runs than these {len(found):,}: raise limit= in search."
    if len(found) > len(lines):
        yield f"Only the first {len(lines):,} of {len(found):,} runs are listed here; .traces() has all of them."
    broken = sum(line.problem is not None for line in lines)
    if broken:
        yield f"{broken:,} {fmt.plural(broken, 'run')} could not be read completely; .problems says why."


def _tag(trace: Trace, name: str) -> str | None:
    value: Any = trace.tags.get(name)
    return one_line(str(value), labels.NAME_LIMIT) if value not in (None, "") else None


def _id_bytes(trace_id: str) -> bytes:
    try:
        data = bytes.fromhex(trace_id)
    except ValueError:
        data = b""
    return data if len(data) == _ID_BYTES else bytes(_ID_BYTES)


def _ms(time_ns: int | None) -> float | None:
    return None if time_ns is None else time_ns // wire.NS_PER_MS


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
