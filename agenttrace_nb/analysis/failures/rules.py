"""The table of rules: what is looked for, in order of how much a rule knows, and how far it is trusted by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agenttrace_nb.analysis.failures import rules_calls as calls
from agenttrace_nb.analysis.failures import rules_flow as flow
from agenttrace_nb.analysis.failures import rules_model as model
from agenttrace_nb.analysis.failures.findings import Finding, Standing

if TYPE_CHECKING:
    from agenttrace_nb.analysis.failures.story import Story


@dataclass(slots=True, frozen=True)
class Rule:
    """One rule id.

    Attributes
    ----------
    about
        What it finds, in a few words.
    open, fatal, recovered
        How likely a finding is the cause before anything was measured: where the run went on, where it ended with
        it, and where a later step made up for it.
    direct
        Whether a run that ended with it ended because of it, whatever went wrong before.
    follows
        Whether it often follows from something that went wrong before.
    """

    about: str
    open: float = 0.8
    fatal: float = 0.9
    recovered: float = 0.05
    direct: bool = False
    follows: bool = False

    def prior(self, standing: Standing) -> float:
        """Return how likely a finding is the cause before anything was measured."""
        return {Standing.OPEN: self.open, Standing.FATAL: self.fatal, Standing.RECOVERED: self.recovered}[standing]


# Of two findings in one span the upper one says why, the lower one what came of it.
RULES: dict[str, Rule] = {
    "unknown_tool": Rule("a tool was called that the agent does not have", direct=True),
    "arguments_not_json": Rule("the arguments of a call are no JSON", direct=True),
    "invented_identifier": Rule("a call with an identifier that nobody named before failed", direct=True),
    "arguments_do_not_fit": Rule("the arguments of a call do not fit the tool's schema", direct=True),
    "call_rejected": Rule("a call was not allowed", open=0.3),
    "tool_lost_it": Rule("a tool does not know what an earlier result named"),
    "tool_timed_out": Rule("a tool ran out of time", direct=True),
    "mcp_error": Rule("an MCP server failed", direct=True),
    "tool_raised": Rule("a tool raised an exception", direct=True),
    "tool_reported_error": Rule("a tool reported that it did not work", direct=True),
    "tool_reported_something": Rule("a tool reported an error", open=0.7, direct=True),
    "tool_rejected_arguments": Rule("a tool rejected its arguments", open=0.6),
    "slow_tool": Rule("a tool took most of the run's time", open=0.7, fatal=0.5),
    "repeated_call": Rule("the same call again and again", open=0.7),
    "repeated_message": Rule("the same answer again and again", open=0.5),
    "failed_execution": Rule("code that one agent wrote and another one could not run", open=0.6),
    "handoff_ping_pong": Rule("handoffs in a circle"),
    "wrong_handoff": Rule("a handoff to an agent that could not help", open=0.6),
    "empty_result": Rule("a tool gave nothing back", open=0.7),
    "guardrail_tripped": Rule("a guardrail stopped the run", fatal=0.95, direct=True),
    "model_error": Rule("the model's service failed", fatal=0.95, direct=True),
    "model_refused_request": Rule("the model's service refused the request", fatal=0.9, direct=True),
    "answer_filtered": Rule("the provider's filter stopped an answer", open=0.6, direct=True),
    "answer_cut_off": Rule("an answer was cut off", open=0.6, direct=True),
    "answer_does_not_fit": Rule("an answer could not be used", direct=True),
    "max_turns": Rule("the turns were used up", follows=True),
    "stopped": Rule("the run was stopped from outside", fatal=0.6, direct=True),
    "program_error": Rule("the program around the agents failed", open=0.4, fatal=0.8, direct=True),
    "empty_answer": Rule("the last answer was empty", open=0.6, follows=True),
    "tool_refused": Rule("a tool refused what was asked", open=0.15),
    "tool_found_nothing": Rule("a tool found nothing by a name", open=0.2),
    "nothing_found": Rule("a search found nothing", open=0.1),
    "ungrounded_identifier": Rule("an identifier that nobody named before", open=0.4),
    "contradicts_result": Rule("a number that stands nowhere before", open=0.2, follows=True),
}

Finder = Callable[["Story"], Iterable[Finding]]

FINDERS: tuple[Finder, ...] = (
    calls.unknown_tool,
    calls.arguments_not_json,
    calls.invented_identifier,
    calls.ungrounded_identifier,
    calls.arguments_do_not_fit,
    calls.call_rejected,
    calls.tool_timed_out,
    calls.mcp_error,
    calls.tool_raised,
    calls.tool_reported_error,
    calls.empty_result,
    flow.slow_tool,
    flow.repeated_call,
    flow.repeated_message,
    flow.failed_execution,
    flow.ping_pong,
    flow.wrong_handoff,
    flow.max_turns,
    model.guardrail_tripped,
    model.model_error,
    model.answer_cut_off,
    model.misbehaved,
    model.empty_answer,
    model.contradicts_result,
    model.stopped,
    model.other_error,
)
