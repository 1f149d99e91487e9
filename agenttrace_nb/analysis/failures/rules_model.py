"""Rules about the models and what they answered, and about errors that belong to nobody else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agenttrace_nb.analysis.failures.findings import Evidence, Finding, Side, Standing
from agenttrace_nb.analysis.failures.wording import shortened
from agenttrace_nb.spans import SpanKind, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.analysis.failures.calls import Answer
    from agenttrace_nb.analysis.failures.story import Story
    from agenttrace_nb.spans import Span

_OF_THE_SETUP = frozenset({400, 401, 403, 404, 409, 422})
_SETUP_TYPES = frozenset(
    {"AuthenticationError", "PermissionDeniedError", "BadRequestError", "NotFoundError", "UserError", "OpenAIError"}
)
_CUT_OFF = frozenset({"length", "max_output_tokens", "max_tokens", "incomplete"})
_FILTERED = frozenset({"content_filter"})
_HANDLED = frozenset(
    {"MaxTurnsExceeded", "GuardrailTripwireTriggered"}
    | {f"{stage}GuardrailTripwireTriggered" for stage in ("Input", "Output", "ToolInput", "ToolOutput")}
)
_NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?![\w])")
_SHORTEST_NUMBER = 3
_NUMBERS_LOOKED_AT = 400
_LONG_TEXT = 400_000


def model_error(story: Story) -> Iterator[Finding]:
    """Find LLM calls that the model's service failed on, or refused because of how it was asked."""
    for span in story.origins:
        if not _is_model_error(span):
            continue
        rule, side, words = "model_error", Side.MODEL, "the model service failed"
        if _is_setup(span):
            rule, side, words = "model_refused_request", Side.ENVIRONMENT, "the model service refused the request"
        elif span.error is not None and span.error.type == "ModelBehaviorError":
            continue
        yield _of_span(story, rule, side, span, f"{words}: {_why(span)}", Evidence(_why(span), span.span_id))


def _is_model_error(span: Span) -> bool:
    if span.kind is SpanKind.LLM:
        return True
    kind = span.error.type if span.error is not None else None
    return (
        span.kind is not SpanKind.TOOL and kind is not None and kind.startswith(("RateLimit", "APIConnection", "API"))
    )


def _is_setup(span: Span) -> bool:
    error = span.error
    return error is not None and (error.http_status in _OF_THE_SETUP or error.type in _SETUP_TYPES)


def misbehaved(story: Story) -> Iterator[Finding]:
    """Find answers that the SDK could not use, other than calls of unknown tools: mostly of the wrong shape."""
    if any(not call.ran for call in story.calls):
        return
    for span in story.origins:
        error = span.error
        if error is None or error.type != "ModelBehaviorError" or span.kind is SpanKind.TOOL:
            continue
        answer = _answer_of(story, span)
        where = answer.span if answer is not None else span
        who = where.agent or span.agent or "the model"
        yield _of_span(
            story, "answer_does_not_fit", Side.AGENT, where,
            f"{shortened(who, 60)} gave an answer that could not be used: {shortened(error.message)}",
            Evidence(f"refused here: {_why(span)}", span.span_id),
            *((Evidence(f"the answer: {shortened(answer.text)}", where.span_id),) if answer is not None else ()),
            standing=story.standing_of(span),
        )  # fmt: skip


def _answer_of(story: Story, failed: Span) -> Answer | None:
    """Return the answer that an error speaks of: the last one that began before the failed span was over."""
    end = failed.end_ns if failed.end_ns is not None else float("inf")
    mine = [a for a in story.answers if a.span.start_ns <= end and (failed.agent is None or a.agent == failed.agent)]
    return mine[-1] if mine else None


def answer_cut_off(story: Story) -> Iterator[Finding]:
    """Find answers that ended because there were no tokens left, or that a filter stopped."""
    for answer in story.answers:
        reason = answer.span.attributes.get("finish_reason")
        if reason in _CUT_OFF:
            yield _of_span(
                story, "answer_cut_off", Side.ENVIRONMENT, answer.span,
                f"an answer was cut off by the limit of tokens ({reason})",
                Evidence(f"it ends: {shortened(answer.text[-200:])}", answer.span.span_id),
            )  # fmt: skip
        elif reason in _FILTERED:
            yield _of_span(
                story, "answer_filtered", Side.POLICY, answer.span, "the provider's filter stopped an answer",
                Evidence(f"finish reason: {reason}", answer.span.span_id),
            )  # fmt: skip


def empty_answer(story: Story) -> Iterator[Finding]:
    """Find a run that ended on an answer with nothing in it."""
    last = story.answers[-1] if story.answers else None
    if last is None or story.failed or last.span.status is not Status.OK or last.span.output is None:
        return
    if not last.text.strip() and not last.asks and not _has_other_items(last.span.output):
        yield _of_span(
            story, "empty_answer", Side.AGENT, last.span, "the last answer was empty",
            Evidence("neither text nor a call", last.span.span_id),
        )  # fmt: skip


def _has_other_items(output: Any) -> bool:
    plain = ("message", None, "reasoning")
    return isinstance(output, list) and any(isinstance(i, dict) and i.get("type") not in plain for i in output)


def contradicts_result(story: Story) -> Iterator[Finding]:
    """Find numbers in the last answer that stand nowhere before it and follow from nothing that does."""
    last = story.last_answer
    results = [call for call in story.calls if last is not None and call.at < last.at and call.went_well]
    if last is None or story.failed or not results:
        return
    said = [n for n in _numbers(last.text) if len(n.replace(",", "").replace(".", "")) >= _SHORTEST_NUMBER]
    if not said:
        return
    known = _known_numbers(story, last)
    wrong = [n for n in said if (value := _value(n)) not in known and not _follows(value, known)]
    if wrong:
        source = results[-1]
        yield _of_span(
            story, "contradicts_result", Side.AGENT, last.span,
            f"the answer says {', '.join(wrong[:3])}, which no message or result contains",
            Evidence(f"the last result was {shortened(str(source.result))}", source.span.span_id),
        )  # fmt: skip


def _numbers(text: str) -> list[str]:
    return list(dict.fromkeys(_NUMBER.findall(text[:_LONG_TEXT])))[:_NUMBERS_LOOKED_AT]


def _value(text: str) -> float:
    return float(text.replace(",", ""))


def _known_numbers(story: Story, last: Answer) -> set[float]:
    texts = [str(call.result) for call in story.calls[-200:] if call.at < last.at]
    texts += [str(call.raw) for call in story.calls[-200:] if call.at < last.at]
    texts.append(str(last.span.input)[:_LONG_TEXT])
    texts += [a.text for a in story.answers[-50:] if a is not last]
    return {
        float(n.replace(",", "")) for text in texts for n in re.findall(r"\d[\d,]*(?:\.\d+)?", text[:_LONG_TEXT]) if n
    }


def _follows(value: float, known: set[float]) -> bool:
    """Tell whether a number is a sum, difference, product or share of two that are known."""
    few = sorted(known)[-_NUMBERS_LOOKED_AT:]
    near = {round(n, 2) for n in few}
    return any(
        round(value - n, 2) in near or round(value + n, 2) in near or (n and round(value / n, 2) in near) for n in few
    )


def guardrail_tripped(story: Story) -> Iterator[Finding]:
    """Find guardrails that stopped the run."""
    for span in story.guardrails:
        if span.status is Status.ERROR or span.attributes.get("triggered") is True:
            info = span.attributes.get("output_info")
            told = f": {shortened(str(info))}" if info is not None else ""
            standing = Standing.FATAL if story.failed else Standing.OPEN
            yield _of_span(
                story, "guardrail_tripped", Side.POLICY, span, f"the guardrail {span.name} tripped{told}",
                Evidence(_why(span), span.span_id), standing=standing,
            )  # fmt: skip


def stopped(story: Story) -> Iterator[Finding]:
    """Find what was going on when somebody stopped the run, or its process ended."""
    words = {Status.CANCELLED: "the run was stopped by its caller", Status.INTERRUPTED: "the process of the run ended"}
    if story.trace.status not in words:
        return
    open_ = [s for s in story.order if s.status in words]
    deepest = next(
        (s for s in reversed(open_) if s.kind in (SpanKind.TOOL, SpanKind.LLM)), open_[-1] if open_ else None
    )
    if deepest is not None:
        took = f" after {deepest.duration_s:.1f} s" if deepest.duration_s is not None else ""
        yield _of_span(
            story, "stopped", Side.ENVIRONMENT, deepest,
            f"{words[story.trace.status]} while {shortened(deepest.name, 60)} was at work",
            Evidence(f"stopped here{took}", deepest.span_id), standing=Standing.FATAL,
        )  # fmt: skip


def other_error(story: Story) -> Iterator[Finding]:
    """Find errors that began in none of the above: in the program around the agents, in a session, on an MCP server."""
    for span in story.origins:
        error = span.error
        taken = span.kind in (SpanKind.TOOL, SpanKind.GUARDRAIL) or _is_model_error(span)
        if taken or (error is not None and error.type in _HANDLED | {"ModelBehaviorError"}):
            continue
        holds_others = span.kind in (SpanKind.AGENT, SpanKind.TURN, SpanKind.WORKFLOW)
        if holds_others and (error is None or story.children_failed(span)):
            continue  # nothing says why, or what failed below it does
        rule, side = ("mcp_error", Side.TOOL) if span.kind is SpanKind.MCP else ("program_error", Side.ENVIRONMENT)
        yield _of_span(
            story,
            rule,
            side,
            span,
            f"{shortened(span.name, 60)} failed: {_why(span)}",
            Evidence(_why(span), span.span_id),
        )


def _of_span(
    story: Story, rule: str, side: Side, span: Span, reason: str, *evidence: Evidence, standing: Standing | None = None
) -> Finding:
    at = story.place[span.span_id]
    if standing is None:
        standing = story.standing_of(span)
        if (
            standing is Standing.OPEN
            and rule in _SUPERSEDED
            and any(a.at > at and a.span.status is Status.OK and a.agent == span.agent for a in story.answers)
        ):
            standing = Standing.RECOVERED
    return Finding(
        rule=rule, side=side, span=span, at=at, reason=reason, standing=standing, agent=span.agent,
        step=story.step_at(at), evidence=evidence,
    )  # fmt: skip


_SUPERSEDED = frozenset({"model_error", "model_refused_request", "answer_cut_off", "answer_filtered"})
"""What a later answer of the same agent makes up for."""


def _why(span: Span) -> str:
    if span.error is None:
        return "no reason was recorded"
    status = f" (HTTP {span.error.http_status})" if span.error.http_status else ""
    return shortened(str(span.error)) + status
