"""Altair charts that show themselves as pictures: in saved notebooks, offline, and where scripts do not run."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import altair as alt

    Chart = TypeVar("Chart", bound=alt.TopLevelMixin)

PNG_SCALE = 2


def as_picture(chart: Chart) -> Chart:
    """Return an Altair chart that a notebook shows as a PNG, drawn here; it can be changed and saved as any other.

    Examples
    --------
    >>> import altair as alt
    >>> bars = alt.Chart(alt.Data(values=[{"n": 1}])).mark_bar().encode(x="n:Q")
    >>> sorted(as_picture(bars)._repr_mimebundle_())
    ['image/png', 'text/plain']
    """
    kind: Any = type(chart)
    object.__setattr__(chart, "__class__", _picture_of(kind))  # Altair's own puts what is set into the chart
    return chart


@cache
def _picture_of(kind: Any) -> Any:
    def _repr_mimebundle_(self: Any, *_: Any, **__: Any) -> dict[str, Any]:
        import vl_convert

        png = vl_convert.vegalite_to_png(self.to_json(), scale=PNG_SCALE)
        return {"image/png": png, "text/plain": f"<{kind.__name__}>"}

    return type(kind.__name__, (kind,), {"_repr_mimebundle_": _repr_mimebundle_, "__doc__": kind.__doc__})
