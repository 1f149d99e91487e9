"""The picture of an overlay: steps from left to right, ways as lines as thick as they are taken."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import altair as alt

from agenttrace_nb.analysis.overlay import END
from agenttrace_nb.views.chart_style import BAD, GOOD, INK, NEUTRAL, rows, styled
from agenttrace_nb.views.safe_text import one_line

if TYPE_CHECKING:
    from agenttrace_nb.analysis.overlay import Passed, StepGraph

    Point = tuple[float, float]

DRAWN_STEPS = 60
_LABEL_CHARACTERS = 30
_COLUMN_PX, _ROW_PX = 165, 56
_THICKEST = 9.0
_CURVE = 12


def draw(graph: StepGraph) -> alt.TopLevelMixin:
    """Return the picture of a graph."""
    common = sorted(graph.nodes, key=lambda step: (-len(graph.nodes[step].traces), step))[:DRAWN_STEPS]
    at = _laid_out(graph, common)
    ways = [
        row
        for number, way in enumerate(graph.edges)
        if way[0] in at and way[1] in at
        for row in _way(graph, at, way, number)
    ]
    steps = [
        {"step": one_line(step, _LABEL_CHARACTERS), "x": x, "y": y, "success": _share(graph.nodes[step]),
         "count": f"{len(graph.nodes[step].traces)} of {graph.runs}"}
        for step, (x, y) in at.items()
    ]  # fmt: skip
    columns = 1 + max(x for x, _ in at.values())
    heights = [y for _, y in at.values()]
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-0.4, columns - 0.3], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[min(heights) - 0.8, max(heights) + 0.8], nice=False))
    colour = alt.Color(
        "success:Q", scale=alt.Scale(domain=[0, 50, 100], range=[BAD, NEUTRAL, GOOD], interpolate="rgb"),
        legend=alt.Legend(title="% succeeded", gradientLength=90),
    )  # fmt: skip
    lines = (
        alt.Chart(rows(ways))
        .mark_trail(opacity=0.55)
        .encode(x=x, y=y, detail="way:N", order="n:Q", size=alt.Size("width:Q", scale=None), color=colour)
    )
    dots = alt.Chart(rows(steps)).mark_point(filled=True, size=90, opacity=1).encode(x=x, y=y, color=colour)
    names = alt.Chart(rows(steps)).mark_text(dy=-13, fontSize=11, color=INK).encode(x=x, y=y, text="step:N")
    counts = alt.Chart(rows(steps)).mark_text(dy=15, fontSize=10, color=INK).encode(x=x, y=y, text="count:N")
    left = len(graph.nodes) - len(at)
    title = alt.TitleParams(
        f"{graph.runs} runs laid over each other",
        subtitle="lines are as thick as runs took them" + (f"; the {left} rarest steps are left out" if left else ""),
    )
    size = {"width": max(int(columns * _COLUMN_PX), 320), "height": int((max(heights) - min(heights) + 1.6) * _ROW_PX)}
    return styled(alt.layer(lines, dots, names, counts).properties(title=title, **size))


def _laid_out(graph: StepGraph, steps: list[str]) -> dict[str, Point]:
    """Place steps in columns by where runs come to them; in a column the commonest one is in the middle."""
    columns: dict[int, list[str]] = defaultdict(list)
    inner = sorted((s for s in steps if s != END), key=lambda s: (graph.place[s], s))
    for column, step in enumerate(inner):
        # Steps of about the same place share a column.
        same = next((c for c, of in columns.items() if abs(graph.place[of[0]] - graph.place[step]) < 0.75), None)  # noqa: PLR2004
        columns[column if same is None else same].append(step)
    if END in steps:
        columns[len(inner)] = [END]  # after all others, also where most runs are short
    at: dict[str, Point] = {}
    for x, of in enumerate(columns[c] for c in sorted(columns)):
        of.sort(key=lambda s: (-len(graph.nodes[s].traces), s))
        for n, step in enumerate(of):
            at[step] = (float(x), (n + 1) // 2 * (1.0 if n % 2 else -1.0))
    return at


def _way(graph: StepGraph, at: dict[str, Point], way: tuple[str, str], number: int) -> list[dict[str, Any]]:
    """Return the points of one way: a curve, the higher the further it goes, below the steps where it goes back."""
    (x0, y0), (x1, y1) = at[way[0]], at[way[1]]
    passed = graph.edges[way]
    width = max(_THICKEST * len(passed.traces) / graph.runs, 0.8)
    far = abs(x1 - x0)
    bow = 0.0 if far == 1 else 0.3 + 0.12 * far
    if x1 <= x0:
        bow = -bow if bow else -0.4
    about = {"way": number, "success": _share(passed)}
    found = []
    for n in range(_CURVE + 1):
        t = n / _CURVE
        ease = t * t * (3 - 2 * t)
        # The way gets thinner, so that one sees where it leads.
        line = {"x": x0 + (x1 - x0) * t, "y": y0 + (y1 - y0) * ease + 4 * bow * t * (1 - t), "n": n}
        found.append(about | line | {"width": width * (1 - 0.6 * t)})
    return found


def _share(passed: Passed) -> float | None:
    known = len(passed.succeeded) + len(passed.failed)
    return 100 * len(passed.succeeded) / known if known else None
