"""The runs of each case of a comparison, with who won it, to go to from the tables of cases in its page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agenttrace_nb.analysis.comparison.cases import is_case
from agenttrace_nb.views import format as fmt
from agenttrace_nb.views.comparison_cases import case_records
from agenttrace_nb.views.comparison_words import amount, name
from agenttrace_nb.views.safe_text import escaped

if TYPE_CHECKING:
    from agenttrace_nb.analysis.comparison import Findings
    from agenttrace_nb.analysis.comparison.run_table import Run

LISTED_CASES = 300
LISTED_RUNS = 40
_LEFT = ' style="text-align:left"'


class CasePlaces:
    """Where in the page the runs of each case are.

    Parameters
    ----------
    findings
        The comparison.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._place: dict[str, str] = {}

    def link(self, case: str) -> str | None:
        """Return the anchor of a case's runs, which `section` then holds; ``None`` where there are too many already."""
        if case not in self._place and len(self._place) < LISTED_CASES:
            self._place[case] = f"agtr-case-{len(self._place) + 1}"
        return self._place.get(case)

    def section(self) -> str:
        """Return the runs of every case that was linked, folded; a link opens the one it leads to."""
        if not self._place:
            return ""
        won = self._won()
        parts = [self._case(case, place, won.get(case, [])) for case, place in sorted(self._place.items())]
        return f"<details><summary>The runs of each case</summary>\n{''.join(parts)}</details>"

    def _won(self) -> dict[str, list[str]]:
        """Return in words who won each case by what."""
        found: dict[str, list[str]] = {}
        for pair in self._findings.pairs:
            for row in case_records(self._findings, pair):
                if row["case"] in self._place and row["winner"] is not None:
                    other = pair.a if row["winner"] == pair.b else pair.b
                    words = f"{name(pair.metric.label)}: {name(row['winner'])} better than {name(other)}"
                    found.setdefault(row["case"], []).append(words)
        return found

    def _case(self, case: str, place: str, won: list[str]) -> str:
        runs = [run for group in self._findings.groups.values() for run in group.of_case.get(case, [])]
        metrics = self._findings.metrics
        heads = [name(self._findings.by), "trial", "status", *(name(m.label) for m in metrics), "trace"]
        texts = {0, 1, 2, len(heads) - 1}
        top = "".join(f"<th{_side(at in texts)}>{escaped(head)}</th>" for at, head in enumerate(heads))
        rows = "".join(
            f"<tr>{''.join(f'<td{_side(at in texts)}>{escaped(t)}</td>' for at, t in enumerate(self._row(run)))}</tr>\n"
            for run in runs[:LISTED_RUNS]
        )
        left = len(runs) - LISTED_RUNS
        more = f"<p><em>{left:,} more {fmt.plural(left, 'run')}.</em></p>" if left > 0 else ""
        said = "".join(f"<li>{escaped(words)}</li>" for words in won)
        # The anchor lies inside: going to it opens what it lies in.
        return (
            f"<details><summary>{escaped(name(case))}: {len(runs):,} {fmt.plural(len(runs), 'run')}</summary>"
            f'<div id="{place}"><ul>{said}</ul><div class="agtr-wide"><table>\n<thead><tr>{top}</tr></thead>\n'
            f"<tbody>\n{rows}</tbody></table></div>{more}</div></details>\n"
        )

    def _row(self, run: Run) -> list[str]:
        known = [amount(metric, run.figures[metric.name]) for metric in self._findings.metrics]
        return [name(run.group), name(run.trial or ""), name(run.status or ""), *known, name(" ".join(run.traces))]


def _side(is_text: bool) -> str:  # noqa: FBT001 - of a cell
    return _LEFT if is_text else ' class="agtr-n"'


def trace_ids(findings: Findings, case: str) -> list[str]:
    """Return the ids of a case's traces, group by group."""
    runs = [run for group in findings.groups.values() for run in group.of_case.get(case, [])]
    return [trace for run in runs for trace in run.traces]


def cases_of(findings: Findings) -> list[str]:
    """Return the cases that any group has."""
    return sorted({case for group in findings.groups.values() for case in group.sizes if is_case(case)})
