"""A mean run as a waterfall: each step from its mean start on, as long as it takes in the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from agenttrace_nb.config import OptionError
from agenttrace_nb.spans import SpanKind
from agenttrace_nb.views.chart_style import rows, styled
from agenttrace_nb.views.safe_text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agenttrace_nb.analysis.mean_steps import MeanStep

SHOWN_GROUPS = 4
SHOWN_STEPS = 30
_WIDTH_PX, _ROW_PX = 430, 19
_NAME_CHARACTERS = 40
_KINDS = {
    SpanKind.AGENT: ("agent", "#9aa1e6"), SpanKind.LLM: ("LLM call", "#8a4fc7"), SpanKind.TOOL: ("tool", "#0b7a6f"),
    SpanKind.MCP: ("MCP", "#1f6f96"), SpanKind.HANDOFF: ("handoff", "#98600f"),
    SpanKind.GUARDRAIL: ("guardrail", "#b93a70"),
}  # fmt: skip


def waterfall(of: Mapping[str, Sequence[MeanStep]]) -> alt.TopLevelMixin:
    """Return a waterfall for each group, on one scale of time. Steps that few runs have are pale.

    Raises
    ------
    OptionError
        If no run with a step ended.
    """
    shown = {group: steps for group, steps in of.items() if steps}
    if not shown:
        msg = "there is no waterfall to draw: no run with a step came to its end"
        raise OptionError(msg)
    longest = max(step.start_s + step.duration_s for steps in shown.values() for step in steps)
    panels = [_panel(group, steps, longest) for group, steps in list(shown.items())[:SHOWN_GROUPS]]
    return styled(alt.vconcat(*panels) if len(panels) > 1 else panels[0])


def _panel(group: str, steps: Sequence[MeanStep], longest: float) -> alt.Chart:
    # Where there are too many, the steps that most runs have tell most; then in order of time again.
    kept = set(sorted(range(len(steps)), key=lambda at: (-steps[at].runs, steps[at].start_s))[:SHOWN_STEPS])
    listed: list[dict[str, Any]] = [
        {
            "step": f"{at:03d}", "name": one_line(step.label, _NAME_CHARACTERS), "kind": _KINDS[step.kind][0],
            "agent": one_line(step.agent or "", _NAME_CHARACTERS), "start": step.start_s,
            "end": step.start_s + step.duration_s, "seconds": step.duration_s, "share": step.runs / step.of,
            "runs": f"{step.runs} of {step.of}",
        }
        for at, step in enumerate(steps) if at in kept
    ]  # fmt: skip
    left = len(steps) - len(listed)
    about = f"mean of {steps[0].of} runs; the paler, the fewer of them have the step"
    title = alt.TitleParams(
        f"Where the time lies: {one_line(group, _NAME_CHARACTERS)}",
        subtitle=about + (f"; {left} rarer steps are left out" if left else ""),
    )
    names = {row["step"]: row["name"] for row in listed}
    # Two steps may have one name: they are told apart by their place, and labelled by their name.
    label = " : ".join(f"datum.value == '{at}' ? {_quoted(name)}" for at, name in names.items()) + " : ''"
    axis = alt.Axis(labelExpr=label, labelLimit=260, ticks=False, domain=False)
    used = [_KINDS[kind] for kind in _KINDS if any(row["kind"] == _KINDS[kind][0] for row in listed)]
    scale = alt.Scale(domain=[name for name, _ in used], range=[colour for _, colour in used])
    chart: alt.Chart = alt.Chart(rows(listed)).mark_bar(height=11, cornerRadius=2).encode(
        x=alt.X("start:Q", title="seconds from the start", scale=alt.Scale(domain=[0, longest])),
        x2="end:Q",
        y=alt.Y("step:N", title=None, sort=None, axis=axis),
        color=alt.Color("kind:N", title=None, scale=scale),
        opacity=alt.Opacity("share:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0.25, 1])),
        tooltip=["name:N", "agent:N", "runs:N", alt.Tooltip("start:Q", format=".2f"),
                 alt.Tooltip("seconds:Q", format=".2f")],
    )  # fmt: skip
    panel: alt.Chart = chart.properties(width=_WIDTH_PX, height=_ROW_PX * max(len(listed), 2), title=title)
    return panel


def _quoted(text: str) -> str:
    """Return a text as a string of Vega's expressions: names come from people and models."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
