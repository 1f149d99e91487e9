"""Rules about one call of a tool: how it was asked for, and what came back."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from agenttrace_nb.analysis.failures import arguments, grounding
from agenttrace_nb.analysis.failures.calls import NOT_JSON, Call
from agenttrace_nb.analysis.failures.findings import Evidence, Finding, Side, Standing
from agenttrace_nb.analysis.failures.wording import Trouble, decoded, is_empty, shortened
from agenttrace_nb.spans import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttrace_nb.analysis.failures.story import Story

_TIMED_OUT = re.compile(r"time[d]?[ _-]?out|deadline", re.IGNORECASE)
_OF_THE_MODEL = ("ModelBehaviorError", "JSONDecodeError")
_OF_MCP = ("MCPToolError", "McpError", "MCPError", "MCPToolCancellationError")
_OF_THE_MACHINE = ("MemoryError", "ModuleNotFoundError", "ImportError")
_EARLIER_RESULTS = 200
_MOST_INVENTED = 100
_BAD_REQUEST = (400, 422)

# Tools of these names mostly return nothing, and that is fine.
_RETURNS_NOTHING = re.compile(
    r"(?:\A|_)(?:think|log|note|notes|append|send|notify|set|print|sleep|wait|write|store|save|delete|remove|insert|put|"
    r"push|clear|reset|close|click|type|scroll|press|move|play|mark|record|remember|memorize|finish|done|submit|emit|"
    r"record|track|alert|email|post)(?:\Z|_)",
    re.IGNORECASE,
)
_LISTS = re.compile(
    r"(?:\A|_)(?:search|list|find|query|filter|browse|lookup|match|scan|check)(?:\Z|_|s\Z)", re.IGNORECASE
)


# --------------------------------------------------------------------------------------------- how it was asked for


def unknown_tool(story: Story) -> Iterator[Finding]:
    """Find calls of tools that the agent does not have."""
    for call in story.calls:
        if call.ran:
            continue
        known = list(story.tools_of(call.agent) or ())
        close = difflib.get_close_matches(call.name, known, n=1)
        hint = f"; the closest it has is {close[0]}" if close else ""
        yield _finding(
            story, "unknown_tool", Side.AGENT, call,
            f"{_who(call)} called {shortened(call.name, 60)}, a tool that it does not have{hint}",
            Evidence(f"its tools: {shortened(', '.join(known)) or 'none'}", call.span.span_id),
        )  # fmt: skip


def arguments_not_json(story: Story) -> Iterator[Finding]:
    """Find calls whose arguments cannot be read."""
    for call in story.calls:
        if call.ran and call.arguments is NOT_JSON:
            yield _finding(
                story, "arguments_not_json", Side.AGENT, call,
                f"{_who(call)} called {call.name} with arguments that are no JSON",
                Evidence(f"arguments: {shortened(str(call.raw))}", call.span.span_id),
            )  # fmt: skip


def arguments_do_not_fit(story: Story) -> Iterator[Finding]:
    """Find calls whose arguments are not what the tool's schema asks for."""
    for call in story.calls:
        if not call.ran or call.arguments is NOT_JSON:
            continue
        wrong = arguments.misfit(story, call) or _refused_as_misfit(call)
        if wrong is not None:
            yield _finding(
                story, "arguments_do_not_fit", Side.AGENT, call,
                f"{_who(call)} called {call.name} with arguments that do not fit its schema: {wrong}",
                Evidence(f"arguments: {shortened(str(call.raw))}", call.span.span_id),
            )  # fmt: skip


def _refused_as_misfit(call: Call) -> str | None:
    """Return what the SDK said of arguments that it refused before the tool ran."""
    error = call.span.error
    if error is None or error.type not in _OF_THE_MODEL:
        return None
    return shortened(error.chain[0] if error.chain else error.message)


def invented_identifier(story: Story) -> Iterator[Finding]:
    """Find identifiers in arguments that nobody named before, where the tool did not know them either."""
    for call, found in _invented(story):
        if call.failed or call.empty:
            yield _finding(
                story, "invented_identifier", Side.AGENT, call,
                f"{_who(call)} called {call.name} with {grounding.describe(found)}, which no earlier message or result "
                "contains, and it failed",
                *_answered(call),
            )  # fmt: skip


def ungrounded_identifier(story: Story) -> Iterator[Finding]:
    """Find identifiers in arguments that nobody named before, although the tool answered."""
    for call, found in _invented(story):
        if not (call.failed or call.empty):
            yield _finding(
                story, "ungrounded_identifier", Side.AGENT, call,
                f"{_who(call)} called {call.name} with {grounding.describe(found)}, which no earlier message or result "
                "contains",
                *_answered(call),
            )  # fmt: skip


def _invented(story: Story) -> list[tuple[Call, list[grounding.Invented]]]:
    known = story.notes.get("invented")
    if known is None:
        grounds = grounding.Grounds(story)
        seen: set[str] = set()
        known = []
        for call in (call for call in story.calls if call.ran):
            found = [one for one in grounds.invented(call) if one.value not in seen]
            seen.update(one.value for one in found)
            if found:
                known.append((call, found))
            if grounds.is_exhausted() or len(known) >= _MOST_INVENTED:
                break
        story.notes["invented"] = known
    return list(known)


# ---------------------------------------------------------------------------------------------------- what came back


def tool_timed_out(story: Story) -> Iterator[Finding]:
    """Find tools that ran out of time."""
    for call in _broken(story):
        if _is_timeout(call):
            yield _finding(
                story, "tool_timed_out", Side.TOOL, call, f"{call.name} ran out of time: {_why(call)}", *_answered(call)
            )


def mcp_error(story: Story) -> Iterator[Finding]:
    """Find failures that an MCP server reported."""
    for call in _broken(story):
        if not _is_timeout(call) and call.span.error is not None and call.span.error.type in _OF_MCP:
            yield _finding(
                story, "mcp_error", Side.TOOL, call,
                f"the MCP server failed on {call.name}: {_why(call)}", *_answered(call),
            )  # fmt: skip


def tool_raised(story: Story) -> Iterator[Finding]:
    """Find tools that raised an exception of their own on arguments that fit."""
    for call in _broken(story):
        error = call.span.error
        if _is_timeout(call) or (error is not None and (error.type in _OF_MCP or error.type in _OF_THE_MODEL)):
            continue
        if error is not None and error.http_status in _BAD_REQUEST:
            yield _finding(
                story, "tool_rejected_arguments", Side.AGENT, call,
                f"{call.name} rejected its arguments: {_why(call)}", *_answered(call),
            )  # fmt: skip
            continue
        side = Side.ENVIRONMENT if error is not None and error.type in _OF_THE_MACHINE else Side.TOOL
        yield _finding(story, "tool_raised", side, call, f"{call.name} failed: {_why(call)}", *_answered(call))


def _broken(story: Story) -> Iterator[Call]:
    """Yield calls whose tool failed openly, and not because of something below it."""
    for call in story.calls:
        if call.ran and call.span.status is Status.ERROR and not story.children_failed(call.span):
            yield call


def _is_timeout(call: Call) -> bool:
    error = call.span.error
    if error is None:
        return False
    kinds = (error.type or "", *(cause.split(":", 1)[0] for cause in error.chain))
    return any(_TIMED_OUT.search(kind) for kind in kinds) or (not error.type and bool(_TIMED_OUT.search(error.message)))


def tool_reported_error(story: Story) -> Iterator[Finding]:
    """Find errors that tools report in their results: of the tool itself, of its arguments, or simply a no."""
    for call in story.calls:
        said = call.reported if call.ran and call.span.status is Status.OK else None
        if said is None or _is_ours(call):
            continue
        if said.trouble is Trouble.MISSING and _was_named_by_a_tool(story, call):
            yield _finding(
                story, "tool_lost_it", Side.TOOL, call,
                f"{call.name} does not know what an earlier result named: {said.said}", *_answered(call),
            )  # fmt: skip
            continue
        rule, side, words = _REPORTED[said.trouble]
        yield _finding(story, rule, side, call, f"{call.name} {words}: {said.said}", *_answered(call))


_REPORTED = {
    Trouble.SERVICE: ("tool_reported_error", Side.TOOL, "did not work"),
    Trouble.UNCLEAR: ("tool_reported_something", Side.TOOL, "reported an error"),
    Trouble.ARGUMENTS: ("tool_rejected_arguments", Side.AGENT, "rejected its arguments"),
    Trouble.MISSING: ("tool_found_nothing", Side.AGENT, "found nothing by that name"),
    Trouble.REFUSED: ("tool_refused", Side.AGENT, "refused what was asked of it"),
}


def _was_named_by_a_tool(story: Story, call: Call) -> bool:
    if call.arguments in (None, NOT_JSON):
        return False
    named = [value for _, value in grounding.identifiers(call.arguments)]
    if not named:
        return False
    earlier = [c for c in story.calls if c.at < call.at and c.ran][-_EARLIER_RESULTS:]
    before = " ".join(str(c.result) for c in earlier if not c.failed)
    return all(value in before for value in named)


def empty_result(story: Story) -> Iterator[Finding]:
    """Find tools that gave nothing back where something was to be expected."""
    for call in story.calls:
        if not call.empty or _is_held(call):
            continue
        a_list = decoded(call.result) == [] or _LISTS.search(call.name)
        others = [c for c in story.calls_by_tool[call.name] if c is not call and c.ran and not is_empty(c.result)]
        if not others and (_RETURNS_NOTHING.search(call.name) or _is_declared_silent(story, call)):
            continue
        listed_before = any(isinstance(decoded(other.result), list) for other in others)
        rule = "nothing_found" if a_list and (listed_before or not others) else "empty_result"
        words = "found nothing" if rule == "nothing_found" else "gave nothing back"
        usual = [Evidence(f"elsewhere it returned {shortened(str(o.result), 80)}", o.span.span_id) for o in others[:1]]
        yield _finding(story, rule, Side.TOOL, call, f"{call.name} {words}", *_answered(call), *usual)


def _is_declared_silent(story: Story, call: Call) -> bool:
    declared = (story.tools_of(call.agent) or {}).get(call.name) or {}
    return bool(
        re.search(
            r"\b(?:not (?:obtain|return)|no (?:output|result)|returns? nothing)\b", str(declared.get("description"))
        )
    )


def call_rejected(story: Story) -> Iterator[Finding]:
    """Find calls that a guardrail or a person did not allow."""
    for call in story.calls:
        if call.ran and _is_ours(call):
            yield _finding(
                story, "call_rejected", Side.POLICY, call, f"the call of {call.name} was not allowed", *_answered(call)
            )


def _is_ours(call: Call) -> bool:
    return "rejected_by" in call.span.attributes or call.span.attributes.get("approval") == "refused"


def _is_held(call: Call) -> bool:
    return _is_ours(call) or call.span.attributes.get("approval") == "pending"


# ------------------------------------------------------------------------------------------------------------ shared

_REPAIRED_BY_ANY = frozenset(
    {"arguments_not_json", "arguments_do_not_fit", "invented_identifier", "ungrounded_identifier", "tool_refused",
     "tool_rejected_arguments", "tool_found_nothing", "nothing_found", "call_rejected"}
)  # fmt: skip
"""What a call of the same tool with better arguments makes up for; what the tool did wrong it must do right itself."""


def _finding(story: Story, rule: str, side: Side, call: Call, reason: str, *evidence: Evidence) -> Finding:
    standing = story.standing_of(call.span)
    if not call.ran:
        standing = Standing.FATAL if story.ended_with("ModelBehaviorError") else Standing.OPEN
    later = _repaired_by(story, rule, call) if standing is Standing.OPEN else None
    if later is not None:
        standing = Standing.RECOVERED
        evidence = (*evidence, Evidence(f"a later call of {later.name} went well", later.span.span_id))
    return Finding(
        rule=rule, side=side, span=call.span, at=call.at, reason=reason, standing=standing, agent=call.agent,
        step=call.step, evidence=evidence,
    )  # fmt: skip


def _repaired_by(story: Story, rule: str, call: Call) -> Call | None:
    if not call.ran:
        return story.next_good(call.at, agent=call.agent)
    if rule in _REPAIRED_BY_ANY:
        return story.next_good(call.at, tool=call.name)
    return story.next_good(call.at, key=call.key)


def _answered(call: Call) -> tuple[Evidence, ...]:
    given = Evidence(f"called with {shortened(str(call.raw))}", call.span.span_id)
    back = call.result
    came = Evidence(f"result: {shortened(str(back))}" if back not in (None, "") else "result: none", call.span.span_id)
    asked = () if call.asked_by is None else (Evidence("asked for in this answer", call.asked_by.span_id),)
    return (given, came, *asked)


def _why(call: Call) -> str:
    error = call.span.error
    if error is None:
        return call.reported.said if call.reported is not None else "no reason was recorded"
    status = f" (HTTP {error.http_status})" if error.http_status else ""
    return shortened(str(error)) + status


def _who(call: Call) -> str:
    return shortened(call.agent, 60) if call.agent else "the model"
