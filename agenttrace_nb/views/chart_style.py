"""How our Altair charts look: transparent, in tones that read on white and on black pages alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt
    import numpy as np
    from numpy.typing import NDArray

INK = "#747a83"  # as far from white as from a dark page
FAINT = "#9aa0a840"
GOOD = "#23956b"
BAD = "#d9534a"
SAME = "#4f83cc"
NEUTRAL = "#7d838c"
# Apart in lightness too, for those who see few colours
GROUPS = ("#6a74e0", "#d08a1d", "#1f9e94", "#c4569b", "#7f9a34", "#4f9bd4", "#b2683c", "#8d6fd1")
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def styled(chart: Any) -> alt.TopLevelMixin:
    """Return the chart with our colours and fonts; what it sets itself stays."""
    axis: dict[str, Any] = {
        "labelColor": INK, "titleColor": INK, "gridColor": FAINT, "domainColor": FAINT, "tickColor": FAINT,
        "labelFont": _FONT, "titleFont": _FONT, "titleFontWeight": "normal", "labelFontSize": 11, "titleFontSize": 11,
    }  # fmt: skip
    legend = {"labelColor": INK, "titleColor": INK, "labelFont": _FONT, "titleFont": _FONT, "titleFontWeight": "normal"}
    title = {"color": INK, "font": _FONT, "fontSize": 13, "fontWeight": 600, "anchor": "start", "offset": 8}
    title |= {"subtitleColor": INK, "subtitleFont": _FONT, "subtitleFontSize": 11}
    done: alt.TopLevelMixin = (
        chart.configure(background="transparent", font=_FONT, padding=8, axis=axis, legend=legend, title=title)
        .configure_view(stroke=None)
        .configure_text(color=INK, font=_FONT)
    )
    return done


def cumulative(values: NDArray[np.float64], most: int) -> list[tuple[float, float]]:
    """Return the steps of a distribution: each value with the percentage at or below it, from 0 on.

    Parameters
    ----------
    values
        Any number of values, in any order; at least one.
    most
        How many steps at most; where there are more values, they are left out evenly.

    Examples
    --------
    >>> import numpy as np
    >>> cumulative(np.array([3.0, 1.0, 1.0, 2.0]), 100)
    [(1.0, 0.0), (1.0, 50.0), (2.0, 75.0), (3.0, 100.0)]
    """
    import numpy as np

    ordered = np.sort(values)
    picks = np.unique(np.linspace(0, ordered.size - 1, min(ordered.size, most)).astype(int)).tolist()
    up_to = {float(ordered[i]): 100 * (i + 1) / ordered.size for i in picks}  # of equal values the last one
    return [(float(ordered[0]), 0.0), *up_to.items()]


def rows(values: list[dict[str, Any]]) -> alt.Data:
    """Return rows as the data of a chart, inside the chart."""
    import altair as alt

    make: Any = alt.Data  # carries no types
    data: alt.Data = make(values=values)
    return data


def svg(chart: alt.TopLevelMixin) -> str:
    """Return a chart as SVG, drawn here."""
    import vl_convert

    whole: Any = chart
    drawn: str = vl_convert.vegalite_to_svg(whole.to_json())
    return drawn
