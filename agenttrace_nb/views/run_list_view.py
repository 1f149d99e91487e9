"""Shows a set of traces as a list of runs: static twin and widget in a notebook, a table of text elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agenttrace_nb.views.notebook import in_kernel, publish, quietly, shell, write_text
from agenttrace_nb.views.run_list import RunList
from agenttrace_nb.views.run_list_text import text_table
from agenttrace_nb.views.text import terminal_columns

if TYPE_CHECKING:
    from agenttrace_nb.analysis.trace_set import TraceSet


def display_runs(found: TraceSet) -> None:
    """Show a set of traces below the current cell, as a list of runs."""
    listed = RunList(found)
    if not in_kernel(shell()):
        write_text(text_table(listed, terminal_columns()))
        return
    from agenttrace_nb.views.run_list_html import static_list

    publish(static_list(listed), text_table(listed))
    quietly("the list of runs", lambda: _show_widget(listed))


def _show_widget(listed: RunList) -> None:
    from IPython.display import display

    from agenttrace_nb.views.run_list_widget import RunListWidget

    display(RunListWidget(listed))
