"""Widgets in one notebook: the styles of each stand in one document, and change nothing of the others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from lab.test_trace_view import frame
from views.sample_dashboards import feed
from views.sample_heatmaps import desk
from views.sample_lists import small
from views.sample_runs import planner_executor

from agenttrace_nb.views.bundles import bundle
from agenttrace_nb.views.run_list import RunList

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.harness import Harness

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


DATA: dict[str, Callable[[], bytes]] = {
    "trace_view": lambda: frame(*planner_executor()),
    "run_list": lambda: RunList(small()).frame(),
    "dashboard": lambda: feed().snapshot(),
    "heatmap": lambda: json.dumps(desk()._grid()).encode(),
}

# What is seen of each element: where it is, and all that its styles come to.
LOOKS = """() => {
  const looks = () => [...document.querySelectorAll("#a *")].map((element) => {
    const { x, y, width, height } = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    const names = [...style].filter((name) => !name.startsWith("--"));
    return [element.getAttribute("class") ?? element.tagName, [x, y, width, height].join(),
      names.map((name) => `${name}: ${style.getPropertyValue(name)}`)];
  });
  const before = looks();
  globalThis.changes = () => looks().flatMap(([name, place, styles], at) => [
    ...(place === before[at][1] ? [] : [`${name}: ${before[at][1]} is now ${place}`]),
    ...styles.filter((one, which) => one !== before[at][2][which]).map((one) => `${name} has now ${one}`),
  ]).slice(0, 20);
  return before.length;
}"""

ADD = """([css, first]) => {
  const style = Object.assign(document.createElement("style"), { textContent: css });
  first ? document.head.prepend(style) : document.head.append(style);
}"""


@pytest.mark.parametrize("widget", DATA)
def test_the_styles_of_other_widgets_change_nothing(harness: Harness, widget: str) -> None:
    harness.start(DATA[widget](), widget=widget)
    harness.page.evaluate("() => { const now = performance.now(); performance.now = () => now; }")  # or charts move on
    harness.page.add_style_tag(content="#a * { transition: none !important; animation: none !important }")
    harness.settle()
    assert harness.page.evaluate(LOOKS) > 30
    for first in (True, False):
        for other in DATA.keys() - {widget}:
            harness.page.evaluate(ADD, [bundle(f"{other}.css"), first])
        harness.settle()
        assert harness.page.evaluate("() => changes()") == [], "before its own" if first else "behind its own"
