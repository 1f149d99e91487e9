"""How often `attribute_failure` is right, on runs whose fault is known because we put it there.

    python -m benchmarks.attribution          # the table
    python -m benchmarks.attribution --fit    # the same, and write what was observed for the rules' confidence

Runs are played through the real SDK (tests/faults/attribution): recorded conversations and graphs of our own, each with
one fault, and as many without. Half of the scenarios fit the confidence, the other half shows whether it holds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from agents import set_trace_processors  # noqa: E402 - the tests' modules are found only now
from bench import shared_data, tau, tau2  # noqa: E402
from capture import recording  # noqa: E402
from faults.attribution import cases, plain_logs  # noqa: E402

from agenttrace_nb.analysis.failures import confidence, ranking  # noqa: E402
from agenttrace_nb.analysis.failures.attribution import attribute_failure  # noqa: E402
from agenttrace_nb.analysis.failures.story import Story  # noqa: E402
from agenttrace_nb.analysis.statistics.proportions import wilson  # noqa: E402
from agenttrace_nb.spans import Trace  # noqa: E402

CALIBRATION = ROOT / "agenttrace_nb" / "analysis" / "failures" / "calibration.json"
ABOUT = (
    "For each rule and standing: how often a finding that nothing earlier explains was the cause, of how many, in runs "
    "with one injected fault or none. Written by python -m benchmarks.attribution --fit."
)
BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
HARMLESS = (cases.UNTOUCHED, cases.HARMLESS)
Played = list[tuple[cases.Case, Trace]]


async def play_all() -> Played:
    """Play every case."""
    set_trace_processors([])
    data = tau.data()
    if data is None:
        print("the recorded conversations are not here: only graphs of our own")
    played: Played = []
    with tempfile.TemporaryDirectory(prefix="agenttrace-bench-") as folder:
        for case in cases.all_cases(data):
            trace = await cases.played(case, Path(folder))
            for span in trace.spans:
                _ = span.input, span.output
            played.append((case, trace))
            while recording.OPEN_JOURNALS:
                recording.OPEN_JOURNALS.pop().close()
    return played


def counts(played: Played) -> confidence.Counts:
    """Return how often each rule's findings were the cause, where nothing likely came before them."""
    seen: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for case, trace in played:
        true = cases.origin(case, trace)
        found, _ = ranking.find(Story(trace))
        for finding in sorted(found, key=ranking.turn):
            of = seen[finding.rule][finding.standing.value]
            hit = true is not None and finding.span.span_id == true.span_id and finding.side is case.truth.side
            of[0] += hit
            of[1] += 1
            if confidence.confidence(finding.rule, finding.standing, {}) >= ranking.LIKELY:
                break
    return {rule: {standing: (n[0], n[1]) for standing, n in of.items()} for rule, of in sorted(seen.items())}


def report(name: str, played: Played) -> list[cases.Verdict]:
    """Print the table of one half; return the verdicts."""
    verdicts = [cases.judged(case, trace, attribute_failure(trace)) for case, trace in played]
    by_fault: dict[str, list[cases.Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_fault[verdict.case.fault].append(verdict)
    print(f"\n{name}: {len(verdicts)} runs of {len({case.scenario for case, _ in played})} scenarios\n")
    print(f"{'fault':<26} {'runs':>5}  {'side right':<22} {'span right':<22} {'first error':>11} {'last error':>10}")
    for fault, its in sorted(by_fault.items(), key=lambda item: (item[0] in HARMLESS, item[0])):
        print(_line(fault, its))
    faulty = [v for v in verdicts if v.case.fault not in HARMLESS]
    print(_line("all faults", faulty))
    _reliability(verdicts)
    return verdicts


def _line(name: str, its: list[cases.Verdict]) -> str:
    sides = _share(sum(v.side_right for v in its), len(its))
    if its[0].case.fault in HARMLESS:
        return f"{name:<26} {len(its):>5}  {sides:<22} (nobody is to be blamed)"
    spans = _share(sum(v.span_right for v in its), len(its))
    first, last = (sum(getattr(v, f"baseline_{end}") for v in its) / len(its) for end in ("first", "last"))
    return f"{name:<26} {len(its):>5}  {sides:<22} {spans:<22} {first:>10.0%} {last:>10.0%}"


def _share(hits: int, n: int) -> str:
    low, high = wilson(hits, n)
    return f"{hits / n:6.1%} [{low:.0%}, {high:.0%}]"


def _reliability(verdicts: list[cases.Verdict]) -> None:
    # Of a run without a fault every candidate is wrong, however low it stands.
    said = [(v.confidence, _named_it(v)) for v in verdicts if v.rule is not None]
    brier = sum((c - right) ** 2 for c, right in said) / len(said)
    print(f"\nfirst candidates: {len(said)}; Brier score {brier:.4f} (0 is best; always saying 0.5 scores 0.25)")
    print(f"{'said':<12} {'runs':>5} {'mean said':>10} {'was right':>10}")
    for low, high in pairwise(BINS):
        its = [(c, right) for c, right in said if low <= c < high or (c == high == 1.0)]
        if its:
            mean, right = sum(c for c, _ in its) / len(its), sum(r for _, r in its) / len(its)
            print(f"{low:.1f} to {high:.1f}   {len(its):>5} {mean:>10.2f} {right:>10.2f}")


def _named_it(verdict: cases.Verdict) -> bool:
    return verdict.case.fault not in HARMLESS and verdict.first_right


def report_plain_logs() -> None:
    """Print how the same rules do on plain logs of another benchmark: with faults, and as they were recorded."""
    data = shared_data.folder(tau2.DATA_SET)
    if data is None:
        print("\nthe simulations of tau2-bench are not here: no plain logs")
        return
    simulations = tau2.load(data)
    by_fault: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for log in plain_logs.faulty(simulations):
        by_fault[log.fault].append(log.judged(attribute_failure(log.trace)))
    print("\nplain logs of another benchmark (tau2-bench)\n")
    print(f"{'fault':<26} {'logs':>5}  {'side right':<22} {'span right':<22}")
    for fault, its in [*by_fault.items(), ("all faults", [one for of in by_fault.values() for one in of])]:
        sides, spans = (_share(sum(column), len(its)) for column in zip(*its, strict=True))
        print(f"{fault:<26} {len(its):>5}  {sides:<22} {spans:<22}")
    for name, passed in (("went well", True), ("failed", False)):
        its = [attribute_failure(tau2.conversation(s)) for s in simulations if s.passed is passed]
        print(f"as they were, {name:<12} {len(its):>5}  somebody blamed in {sum(a.top is not None for a in its)}")


def main(arguments: list[str]) -> int:
    """Play, fit if asked to, and print."""
    played = asyncio.run(play_all())
    fitting = [(case, trace) for case, trace in played if case.is_for_fitting]
    others = [(case, trace) for case, trace in played if not case.is_for_fitting]
    if "--fit" in arguments:
        text = json.dumps({"about": ABOUT, "counts": counts(fitting)}, indent=1, sort_keys=True)
        CALIBRATION.write_text(text + "\n", encoding="utf-8")
        confidence.measured.cache_clear()
        print(f"written: {CALIBRATION.relative_to(ROOT)}")
    report("scenarios that fitted the confidence", fitting)
    held_out = report("scenarios held out", others)
    report_plain_logs()
    return 0 if _meets_the_goals(held_out) else 1


def _meets_the_goals(verdicts: list[cases.Verdict]) -> bool:
    faulty = [v for v in verdicts if v.case.fault not in HARMLESS]
    rest = [v for v in verdicts if v.case.fault in HARMLESS]
    side, span = (sum(getattr(v, f"{what}_right") for v in faulty) / len(faulty) for what in ("side", "span"))
    blamed = sum(not v.side_right for v in rest) / len(rest)
    print(f"\nheld out: side {side:.1%} (goal 95 %), span {span:.1%} (90 %), blamed wrongly {blamed:.1%} (at most 2 %)")
    return side >= 0.95 and span >= 0.90 and blamed <= 0.02


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
