"""Two traces side by side as text, and the words that the HTML form shares with it."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from agenttrace_nb.analysis.trace_diff import Class
from agenttrace_nb.spans import SpanKind
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views import labels
from agenttrace_nb.views.safe_text import one_line, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agenttrace_nb.analysis.trace_diff import Change, Step, StepDiff
    from agenttrace_nb.spans import Span, Trace

SIGNS = {Class.SAME: " ", Class.CHANGED: "~", Class.ADDED: "+", Class.REMOVED: "-", Class.MOVED: ">"}
_AROUND = 2
_VALUE_CHARACTERS = 110
_ROW_LIMIT = 400
_COMPARED_WORDS = 250_000
_IN_COMMON = 0.5
_WORDS = re.compile(r"\w+|\W")


def title(trace: Trace) -> str:
    """Return what tells a trace from others, on one line."""
    parts = [trace.tags.get("arch"), trace.tags.get("case"), trace.tags.get("trial")]
    said = " · ".join(part for part in parts if part) or trace.name
    return f"{one_line(said, 60)} ({trace.trace_id[:8]})"


def summary(found: StepDiff) -> str:
    """Return how many steps are of which class."""
    counts = found.counts()
    if counts[Class.SAME] == sum(counts.values()):
        return f"All {counts[Class.SAME]} steps are the same."
    return " · ".join(f"{count} {kind.value}" for kind, count in counts.items() if count)


def first(found: StepDiff) -> str | None:
    """Return where the traces part, in one sentence; None where they do not."""
    step = found.first
    if step is None:
        return None
    how = {Class.ADDED: "is only in b", Class.REMOVED: "is only in a", Class.MOVED: "stands elsewhere"}
    said = how.get(step.kind) or f"changed its {' and '.join(one_line(c.part, 30) for c in step.changes)}"
    return f"They part at step {found.steps.index(step) + 1}: {words(step.span)} {said}."


def words(span: Span) -> str:
    """Return a step's kind, name and agent."""
    agent = f" of {one_line(span.agent, 40)}" if span.agent and span.kind is not SpanKind.AGENT else ""
    return f"{span.kind.value} {labels.name(span)}{agent}"


def totals(found: StepDiff) -> list[tuple[str, str, str, str]]:
    """Return time, tokens and cost of both, and by how much b is above a."""
    a, b = found.a, found.b
    rows = [("time", a.duration_s, b.duration_s, fmt.seconds)]
    rows += [
        (name.replace("_", " "), a.total(name), b.total(name), fmt.count) for name in ("input_tokens", "output_tokens")
    ]
    rows.append(("cost", a.total("cost_usd"), b.total("cost_usd"), fmt.usd))
    return [
        (name, show(x), show(y), signed(None if x is None or y is None else y - x, show)) for name, x, y, show in rows
    ]


def signed(value: float | None, show: object) -> str:
    """Return a difference with its sign; what is unknown is a dash, no difference is nothing."""
    if value is None:
        return fmt.UNKNOWN
    said = show(abs(value))  # type: ignore[operator]
    sign = "+" if value > 0 else "−"
    return "" if not value else f"under {sign}{said[1:]}" if said[0] == "<" else f"{sign}{said}"


def deltas(step: Step) -> list[str]:
    """Return by how much a step's time, tokens and cost grew."""
    tokens = [step.delta("input_tokens"), step.delta("output_tokens")]
    known = [t for t in tokens if t is not None]
    cells = [signed(step.delta("duration_s"), fmt.seconds)]
    has_tokens = step.span.kind is SpanKind.LLM
    cells.append(signed(sum(known) if known else None, fmt.count) if has_tokens else "")
    cells.append(signed(step.delta("cost_usd"), fmt.usd) if has_tokens else "")
    return cells


def sides(change: Change, limit: int) -> tuple[str, str]:
    """Return both values of a change, cut to the surroundings of the first place where they differ."""
    before, after = plain(change.before or ""), plain(change.after or "")
    start = max(common(before, after) - limit // 3, 0)
    cut = "…" if start else ""
    values = (v[start : start + limit] + ("…" if len(v) > start + limit else "") for v in (before, after))
    one, other = (f"{cut}{' '.join(v.split())}" if v else "∅" for v in values)
    return one, other


def common(before: str, after: str) -> int:
    """Return how many characters two texts begin with alike."""
    length = 0
    for x, y in zip(before, after, strict=False):
        if x != y:
            break
        length += 1
    return length


def differing(before: str, after: str) -> list[tuple[str, str, str]]:
    """Return two texts in pieces, ``(what, of a, of b)``, word by word; what is ``equal`` or not.

    Texts that have little in common, or are long, are not taken apart but for how they begin and end.
    """
    x, y = _WORDS.findall(before), _WORDS.findall(after)
    if len(x) * len(y) <= _COMPARED_WORDS:
        found = SequenceMatcher(None, x, y, autojunk=False)
        if found.ratio() > _IN_COMMON:
            return [(tag, "".join(x[i:j]), "".join(y[k:m])) for tag, i, j, k, m in found.get_opcodes()]
        return [("replace", before, after)]
    n = common(before, after)
    m = common(before[n:][::-1], after[n:][::-1])
    end_a, end_b = len(before) - m, len(after) - m
    middle = ("replace", before[n:end_a], after[n:end_b])
    return [("equal", before[:n], after[:n]), middle, ("equal", before[end_a:], after[end_b:])]


def shown(steps: Sequence[Step], limit: int = _ROW_LIMIT) -> list[Step | int]:
    """Return the steps to show: what differs and what is near it; numbers stand for what was left out."""
    near: set[int] = set()
    for i, step in enumerate(steps):
        if step.kind is not Class.SAME:
            near |= set(range(max(i - _AROUND, 0), min(i + _AROUND + 1, len(steps))))
    kept: list[Step | int] = []
    listed = 0
    for i, step in enumerate(steps):
        is_above = step.span.kind in (SpanKind.WORKFLOW, SpanKind.AGENT)
        if listed < limit and (i in near or (is_above and near)):
            kept.append(step)
            listed += 1
        elif kept and isinstance(kept[-1], int):
            kept[-1] += 1
        else:
            kept.append(1)
    return kept


def text(found: StepDiff) -> str:
    """Return the comparison for a terminal."""
    lines = [f"a  {title(found.a)}", f"b  {title(found.b)}", summary(found)]
    if where := first(found):
        lines.append(where)
    for name, x, y, delta in totals(found):
        if (x, y) != (fmt.UNKNOWN, fmt.UNKNOWN):
            lines.append(f"  {name:<14} {x:>10} → {y:<10} {delta}".rstrip())
    lines.append("")
    for row in shown(found.steps):
        if isinstance(row, int):
            lines.append(f"    … {row} more {fmt.plural(row, 'step')}")
            continue
        about = " · ".join(filter(None, deltas(row))) if row.kind is not Class.SAME else ""
        lines.append(f"{SIGNS[row.kind]} {'  ' * min(row.depth, 20)}{words(row.span)}{'   ' + about if about else ''}")
        pad = "    " + "  " * min(row.depth, 20)
        for change in row.changes:
            before, after = sides(change, _VALUE_CHARACTERS)
            part = one_line(change.part, 30)
            lines += [f"{pad}{part}: {before}", f"{pad}{' ' * len(part)}→ {after}"]
    return "\n".join(lines)
