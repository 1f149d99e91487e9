"""Rules about how a run goes on: circles, limits, and steps that take too long."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.failures.calls import canonical
from agenttrace_nb.analysis.failures.findings import Evidence, Finding, Side, Standing
from agenttrace_nb.analysis.failures.wording import Trouble, reported_error, shortened
from agenttrace_nb.spans import NS_PER_S, SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.analysis.failures.calls import Answer, Call
    from agenttrace_nb.analysis.failures.story import Story
    from agenttrace_nb.spans import Span

LOOP_FROM_CALLS = 3
PING_PONG_FROM_HANDOFFS = 3
_PERIODS = (2, 3)
SLOW_FROM_S = 0.25
SLOW_TIMES_MEDIAN = 20.0
SLOW_SHARE = 0.5
_SHORTEST_REPEATED = 20
_SHORTEST_STEM = 4
_RETRIED = (Trouble.SERVICE, Trouble.UNCLEAR)
_DECLINES = re.compile(
    r"\b(?:can(?:no|')t|cannot|can not|unable|not able|outside (?:of )?my|out of my|don't (?:handle|have|deal)|"
    r"do not (?:handle|have|deal)|not my|wrong (?:department|agent|team|place|desk)|not responsible|"
    r"only (?:handle|help|deal))\b|kann (?:ich|dir|ihnen)?.{0,40}nicht|"
    r"nicht zuständig|je ne peux pas|no puedo|non posso|не могу|"
    r"无法|不能|できません|할 수 없",
    re.IGNORECASE,
)
_CODE = "```"
_WORD = re.compile(r"[^\W\d_]{4,}")


def repeated_call(story: Story) -> Iterator[Finding]:
    """Find an agent that calls a tool again and again with the same arguments and gets the same answer."""
    for calls in _same_calls(story):
        if len(calls) < LOOP_FROM_CALLS or _is_retry(calls):
            continue
        second = calls[1]
        who = shortened(second.agent, 60) if second.agent else "the model"
        yield _of(
            story, "repeated_call", Side.AGENT, second.span, second.at,
            f"{who} called {second.name} {len(calls)} times with the same arguments and got the same result each time",
            *(Evidence("the same call", call.span.span_id) for call in calls[:5]),
            agent=second.agent, step=second.step,
        )  # fmt: skip


def _same_calls(story: Story) -> Iterator[list[Call]]:
    """Yield calls in one run of an agent that are the same and came to the same; not those that waited for a change."""
    groups: dict[Any, list[Call]] = defaultdict(list)
    for call in story.calls:
        if call.ran and call.raw is not None:
            groups[_agent_run(story, call.span), call.key].append(call)
    for calls in groups.values():
        if len(calls) >= LOOP_FROM_CALLS and len({canonical(call.result) for call in calls}) == 1:
            yield calls


def _is_retry(calls: list[Call]) -> bool:
    first = calls[0]
    failed = first.span.status is Status.ERROR
    return failed or (first.reported is not None and first.reported.trouble in _RETRIED)


def _agent_run(story: Story, span: Span) -> str | None:
    seen: set[str] = set()
    above = story.by_id.get(span.parent_id or "")
    while above is not None and above.kind is not SpanKind.AGENT and above.span_id not in seen and len(seen) < 50:  # noqa: PLR2004 - a circle, or nothing to be found
        seen.add(above.span_id)
        above = story.by_id.get(above.parent_id or "")
    return above.span_id if above is not None and above.kind is SpanKind.AGENT else None


def repeated_message(story: Story) -> Iterator[Finding]:
    """Find an agent that says the same again and again."""
    said: dict[tuple[str | None, str], list[Answer]] = defaultdict(list)
    for answer in story.answers:
        text = " ".join(answer.text.split())
        if len(text) >= _SHORTEST_REPEATED and not answer.asks:
            said[answer.agent, text].append(answer)
    for answers in said.values():
        if len(answers) >= LOOP_FROM_CALLS:
            second = answers[1]
            yield _of(
                story, "repeated_message", Side.AGENT, second.span, second.at,
                f"{shortened(second.agent or 'the model', 60)} gave the same answer {len(answers)} times",
                *(Evidence("the same answer", answer.span.span_id) for answer in answers[:5]),
                agent=second.agent, step=second.step,
            )  # fmt: skip


def failed_execution(story: Story) -> Iterator[Finding]:
    """Find, in conversations without tools, code that one agent wrote and that failed when another one ran it."""
    if story.calls:
        return
    errors = [(before, ran, said) for before, ran in pairwise(story.answers) if (said := reported_error(ran.text))]
    failing = {ran.at for _, ran, _ in errors}
    last_good = {a.agent: a.at for a in story.answers if a.at not in failing}
    for before, ran, said in errors:
        if before.agent == ran.agent:
            continue
        wrote = _CODE in before.text
        where = before if wrote else ran
        words = "wrote code that failed" if wrote else "reported an error"
        recovered = last_good.get(ran.agent, -1) > ran.at
        yield _of(
            story, "failed_execution", Side.AGENT if wrote else Side.TOOL, where.span, where.at,
            f"{shortened(where.agent or 'the model', 60)} {words}: {said.said}",
            Evidence("this is what came of it", ran.span.span_id), agent=where.agent, step=where.step,
            standing=Standing.RECOVERED if recovered else Standing.OPEN,
        )  # fmt: skip


def ping_pong(story: Story) -> Iterator[Finding]:
    """Find agents that hand over in a circle without anything done in between."""
    for chain in _idle_chains(story):
        pairs = [_ends(span) for span in chain]
        for period in _PERIODS:
            begin = _circle(pairs, period)
            if begin is None:
                continue
            turn = chain[begin + period - 1]
            who = [pairs[begin][0], *(taker for _, taker in pairs[begin : begin + period])]
            yield _of(
                story, "handoff_ping_pong", Side.AGENT, turn, story.place[turn.span_id],
                f"handoffs went in a circle, {' → '.join(shortened(str(w), 40) for w in who)}, and nothing was done",
                *(Evidence(shortened(span.name, 80), span.span_id) for span in chain[begin : begin + 6]),
                agent=turn.agent or pairs[begin + period - 1][0],
            )  # fmt: skip
            break


def _idle_chains(story: Story) -> Iterator[list[Span]]:
    """Yield handoffs that follow one another with no tool used between them."""
    chain: list[Span] = []
    used = iter([call.at for call in story.calls if call.went_well])
    next_used = next(used, None)
    for span in story.handoffs:
        at = story.place[span.span_id]
        broken = False
        while next_used is not None and next_used < at:
            broken, next_used = True, next(used, None)
        if broken and chain:
            yield chain
            chain = []
        chain.append(span)
    if chain:
        yield chain


def _circle(pairs: list[tuple[str | None, str | None]], period: int) -> int | None:
    """Return where handoffs begin to repeat: back at the start after a period, and on the same way again."""
    for begin in range(len(pairs) - period):
        once, again = pairs[begin : begin + period], pairs[begin + period : begin + 2 * period]
        closed = once[-1][1] == once[0][0] and once[0][0] is not None
        if closed and again == once[: len(again)] and len(once) + len(again) >= PING_PONG_FROM_HANDOFFS:
            return begin
    return None


def wrong_handoff(story: Story) -> Iterator[Finding]:
    """Find handoffs to an agent that could do nothing with the request, where there were others to choose from."""
    for number, span in enumerate(story.handoffs):
        giver, taker = _ends(span)
        others = [name for name in _targets(story, giver) if name != taker]
        if not others or taker is None:
            continue
        at = story.place[span.span_id]
        following = story.handoffs[number + 1] if number + 1 < len(story.handoffs) else None
        until = story.place[following.span_id] if following is not None else len(story.order)
        if any(at < call.at < until and call.agent == taker for call in story.calls):
            continue
        said = next((a for a in reversed(story.answers) if at < a.at < until and a.agent == taker), None)
        returned = following is not None and _ends(following)[0] == taker
        declined = said is not None and following is None and bool(_DECLINES.search(said.text))
        better = _better_fit(story, giver, taker, others)
        if not (declined or (returned and following is not None) or (better and following is None)):
            continue
        fits = f"; {shortened(better, 40)} was there for it" if better else ""
        passed_on = returned and not declined
        how = "who passed it on and did nothing" if passed_on else "who declined it" if declined else "who did nothing"
        if passed_on and not better:
            continue
        yield _of(
            story, "wrong_handoff", Side.AGENT, span, at,
            f"{shortened(str(giver), 40)} handed over to {shortened(taker, 40)}, {how}{fits}",
            *((Evidence(f"{taker} said: {shortened(said.text)}", said.span.span_id),) if said is not None else ()),
            agent=giver, standing=Standing.RECOVERED if passed_on else None,
        )  # fmt: skip


def _targets(story: Story, giver: str | None) -> list[str]:
    declared = story.agent_of(giver)
    return [str(h["agent"]) for h in declared.handoffs if h.get("agent")] if declared else []


def _better_fit(story: Story, giver: str | None, taker: str, others: list[str]) -> str | None:
    """Return another agent whose name the request speaks of, where it does not speak of the one that was chosen."""
    asked = next((a.span.input for a in story.answers if a.agent == giver), None)
    request = _stems(_requests(asked))
    declared = story.agent_of(taker)
    about = " ".join(filter(None, [taker, *(str(tool.get("name")) for tool in declared.tools)])) if declared else taker
    if request & _stems(about):
        return None
    return next((other for other in others if request & _stems(other)), None)


def _requests(prompt: Any) -> str:
    if isinstance(prompt, list):
        said = [item.get("content") for item in prompt if isinstance(item, dict) and item.get("role") == "user"]
        return " ".join(part if isinstance(part, str) else canonical(part) for part in said)
    return prompt if isinstance(prompt, str) else ""


def _stems(text: str) -> set[str]:
    return {word[:_SHORTEST_STEM].lower() for word in _WORD.findall(text.replace("_", " "))}


def _ends(span: Span) -> tuple[str | None, str | None]:
    giver, taker = span.attributes.get("from_agent"), span.attributes.get("to_agent")
    if taker is None and "→" in span.name:
        parts = [part.strip() for part in span.name.split("→", 1)]
        giver, taker = parts[0], parts[1]
    return giver or span.agent, taker


def max_turns(story: Story) -> Iterator[Finding]:
    """Find runs that used up their turns."""
    for span in story.origins:
        if span.error is None or span.error.type != "MaxTurnsExceeded":
            continue
        at = story.place[span.span_id]
        last = next((a for a in reversed(story.answers) if span.agent in (None, a.agent)), None)
        shown = () if last is None else (Evidence("its last answer", last.span.span_id),)
        yield _of(
            story, "max_turns", Side.AGENT, span, at,
            f"{shortened(span.agent or 'the agent', 60)} came to no end within its turns: "
            f"{shortened(span.error.message)}", *shown,
            standing=story.standing_of(span), step=last.step if last is not None else None,
        )  # fmt: skip


def slow_tool(story: Story) -> Iterator[Finding]:
    """Find a tool call that took most of the run's time, and far more than the others."""
    timed = [call for call in story.calls if call.ran and (call.span.duration_s or 0) > 0]
    run_s = _run_s(story)
    if run_s is None or not timed or story.trace.start_ns <= 0:
        return
    steps = [s for a in story.answers if (s := a.span.duration_s)] + [c.span.duration_s or 0 for c in timed]
    for call in timed:
        took = call.span.duration_s or 0
        if took < max(SLOW_FROM_S, SLOW_SHARE * run_s) or story.has_below(call.span):
            continue
        others = sorted(steps)
        others.remove(took)
        usual = statistics.median(others) if others else None
        if usual is None or took < SLOW_TIMES_MEDIAN * usual:
            continue
        yield _of(
            story, "slow_tool", Side.TOOL, call.span, call.at,
            f"{call.name} took {took:.2f} s of {run_s:.2f} s, where a step mostly takes {usual:.3f} s",
            Evidence(f"{took:.2f} s", call.span.span_id), agent=call.agent, step=call.step,
        )  # fmt: skip


def _run_s(story: Story) -> float | None:
    known = story.trace.duration_s
    if known is not None:
        return known
    ends = [s.end_ns for s in story.order if s.end_ns is not None]
    return (max(ends) - story.order[0].start_ns) / NS_PER_S if ends and story.order else None


def _of(  # noqa: PLR0917 - what a finding is, in its order
    story: Story, rule: str, side: Side, span: Span, at: int, reason: str, *evidence: Evidence,
    agent: str | None = None, step: int | None = None, standing: Standing | None = None,
) -> Finding:  # fmt: skip
    return Finding(
        rule=rule, side=side, span=span, at=at, reason=reason, standing=standing or Standing.OPEN,
        agent=agent or span.agent, step=step if step is not None else story.step_at(at), evidence=evidence,
    )  # fmt: skip
