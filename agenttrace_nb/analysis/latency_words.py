"""What `Latency` found, in words and as a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

    from agenttrace_nb.analysis.latency import Latency

SHOWN = 8
NAME_LIMIT = 48
_PARTS = (("llm_s", "LLM calls"), ("tool_s", "tools"), ("other_s", "other steps"), ("waiting_s", "waiting"))
_COLOURS = {"agent": "#4f5bd5", "tool": "#0b7a6f", "model": "#8a4fc7"}


def words(found: Latency) -> str:
    """Return what was found in a few lines."""
    traces = found.traces
    known = traces.dropna(subset=["duration_s"])
    if known.empty:
        return (
            "no trace" if not len(found) else f"{_many(len(found))} without an end: the critical path is not known yet"
        )
    total = float(known["duration_s"].sum())
    mean = total / len(known)
    lines = [f"{_s(mean)}" if len(known) == 1 else f"{_many(len(known))}, {_s(mean)} in the mean"]
    if found.unknown:
        lines[0] += f"; {found.unknown} more without an end"
    parts = [(word, float(known[name].sum())) for name, word in _PARTS]
    shares = [f"{word} {part / total:.0%}" for word, part in parts if part > 0 and total]
    lines.append("critical path: " + ", ".join(shares) if shares else "the critical path is empty")
    useful = found.savings.dropna(subset=["saved_s"])
    useful = useful[useful["saved_s"] > 0]
    lines += ["  " + _saving(row, mean, len(known)) for row in useful.head(SHOWN).to_dict("records")]
    if len(useful) > SHOWN:
        lines.append(f"  {len(useful) - SHOWN} more in .savings")
    if useful.empty:
        lines.append("  no agent, tool or model would save time by itself")
    return "\n".join(lines)


def _saving(row: dict[str, Any], mean: float, traces: int) -> str:
    from pandas import isna

    saved = float(row["saved_s"])
    line = f"without {row['what']} {_short(row['name'])}: {_s(mean)} -> {_s(mean - saved)} (saves {_s(saved)})"
    if traces == 1:
        return line
    line += f"; on the critical path of {row['on_path']} of {traces}"
    low, high = row["low_s"], row["high_s"]
    return line if isna(low) or isna(high) else f"{line}; 95 %: {_s(float(low))} to {_s(float(high))}"


def savings_chart(found: Latency) -> alt.LayerChart | alt.FacetChart:
    """Return savings as bars before the part of the critical path, one line for each agent, tool and model."""
    import altair as alt

    from agenttrace_nb.analysis.pictures import as_picture

    table = found.savings.dropna(subset=["saved_s"])
    table = table[table["critical_s"] > 0].head(3 * SHOWN)
    table = table.assign(step=[f"{w} {_short(n)}" for w, n in zip(table["what"], table["name"], strict=True)])
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    names = [row["step"] for row in rows]
    base = alt.Chart({"values": rows}).encode(
        y=alt.Y("step:N", sort=names, title=None, axis=alt.Axis(labelLimit=260, ticks=False, domain=False))
    )
    title = "seconds saved if it took no time" + (", mean of the traces" if len(found) > 1 else "")
    axis = alt.Axis(tickCount=6, titleFontWeight="normal", gridColor="#eff0f3", domain=False)
    colour = alt.Color("what:N", legend=None, scale=alt.Scale(domain=list(_COLOURS), range=list(_COLOURS.values())))
    layers: list[alt.Chart] = [
        base.mark_bar(height=12, color="#e3e5e9").encode(x=alt.X("critical_s:Q", title=title, axis=axis)),
        base.mark_bar(height=12).encode(x="saved_s:Q", color=colour),
    ]
    if table["low_s"].notna().any():
        layers.append(base.mark_rule(color="#1d2127").encode(x="low_s:Q", x2="high_s:Q"))
    caption = "Pale: its part of the critical path, which is the most that could be saved"
    heading = alt.Title("What could be saved", subtitle=caption, anchor="start", subtitleColor="#535c67")
    chart = alt.layer(*layers).properties(width=460, title=heading).configure_view(stroke=None)
    picture: alt.LayerChart | alt.FacetChart = as_picture(chart)
    return picture


def _many(traces: int) -> str:
    return f"{traces} trace{'' if traces == 1 else 's'}"


def _s(seconds: float) -> str:
    return f"{seconds:.2f} s" if abs(seconds) >= 0.1 else f"{seconds * 1000:.1f} ms"  # noqa: PLR2004


def _short(name: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return line if len(line) <= NAME_LIMIT else line[: NAME_LIMIT - 1] + "…"
