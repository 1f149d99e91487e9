"""Run hooks that are put around the user's own: content at the start of a step, and models that open no span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import RunHooks, get_current_span

from agenttrace_nb.capture import approvals, mcp, tools
from agenttrace_nb.capture import llm as llm_calls
from agenttrace_nb.capture.active import quiet, role_of
from agenttrace_nb.capture.declared import declare
from agenttrace_nb.capture.state import Call, OpenSpan, OpenTrace, here
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Coroutine

    Hook = Coroutine[Any, Any, None]


class JournalHooks(RunHooks[Any]):
    """Records, then hands on to the user's hooks.

    The methods are no coroutines themselves: the SDK gets what the user's hook returns, and what it raises.

    Parameters
    ----------
    call
        The call of the runner that these hooks belong to.
    user
        The hooks that the user gave, if any.
    """

    def __init__(self, call: Call, user: RunHooks[Any] | None) -> None:
        self._call = call
        self._user: RunHooks[Any] = RunHooks() if user is None else user

    def on_agent_start(self, context: Any, agent: Any) -> Hook:
        """Keep what the agent was declared to be, once for each trace."""
        self._agent_start(agent)
        return self._user.on_agent_start(context, agent)

    def on_agent_end(self, context: Any, agent: Any, output: Any) -> Hook:
        """Keep the final output until the agent's span ends."""
        self._agent_end(output)
        return self._user.on_agent_end(context, agent, output)

    def on_llm_start(self, context: Any, agent: Any, system_prompt: str | None, input_items: Any) -> Hook:
        """Open the LLM span with its whole prompt."""
        self._llm_start(agent, system_prompt, input_items)
        return self._user.on_llm_start(context, agent, system_prompt, input_items)

    def on_llm_end(self, context: Any, agent: Any, response: Any) -> Hook:
        """Close the LLM span with its answer."""
        self._llm_end(response)
        return self._user.on_llm_end(context, agent, response)

    def on_tool_start(self, context: Any, agent: Any, tool: Any) -> Hook:
        """Keep the arguments while the tool still works."""
        self._tool_start(context)
        return self._user.on_tool_start(context, agent, tool)

    def on_tool_end(self, context: Any, agent: Any, tool: Any, result: Any) -> Hook:
        """See whether the tool ran out of time; its span knows the result."""
        self._tool_end(tool, result)
        return self._user.on_tool_end(context, agent, tool, result)

    def on_handoff(self, context: Any, from_agent: Any, to_agent: Any) -> Hook:
        """Hand on, by keyword as the SDK does; the handoff has a span."""
        return self._user.on_handoff(context=context, from_agent=from_agent, to_agent=to_agent)

    @quiet
    def _agent_start(self, agent: Any) -> None:
        at = here()
        if at is None:
            self._look_why_nothing_is_open()
            return
        trace, open_, _ = at
        role = role_of(trace.recorder, agent.name, agent)
        for span in filter(None, (open_.nearest(SpanKind.AGENT), open_)):
            if span.role != role:
                span.role = role
                trace.recorder.append(EventKind.SPAN_UPDATE, trace.trace_id, span.span_id, {"role": role})
        mcp.watch(getattr(agent, "mcp_servers", None))
        if agent.name not in trace.described:
            trace.described[agent.name] = callable(agent.instructions) or bool(agent.mcp_servers)
            declare(trace, agent, role, sensitive=self._call.sensitive)

    @quiet
    def _agent_end(self, output: Any) -> None:
        self._call.output = output
        at = here()
        if at is None:
            return
        for kind in (SpanKind.AGENT, SpanKind.WORKFLOW):
            span = at[1].nearest(kind)
            if span is not None:
                span.output, span.has_output = output, True

    @quiet
    def _llm_start(self, agent: Any, system_prompt: str | None, input_items: Any) -> None:
        at = here()
        if at is None:
            return
        trace, open_, _ = at
        if self._call.undecided:
            approvals.note_refusals(trace, open_, self._call, input_items)
        if trace.described.get(agent.name):
            self._declare_again(trace, open_, agent, system_prompt)
        llm_calls.start_llm(at, self._call, agent, system_prompt, input_items)

    @quiet
    def _llm_end(self, response: Any) -> None:
        at = here()
        if at is not None:
            llm_calls.end_llm(at[0], self._call, at[2], response)

    @quiet
    def _tool_start(self, context: Any) -> None:
        at = here()
        if at is None or at[1].kind is not SpanKind.TOOL:
            return
        trace, open_, _ = at
        body, content = tools.start_tool(trace, open_, self._call, context)
        trace.recorder.append(EventKind.SPAN_UPDATE, trace.trace_id, open_.span_id, body, content, urgent=True)

    @quiet
    def _tool_end(self, tool: Any, result: Any) -> None:
        at = here()
        if at is not None and at[1].kind is SpanKind.TOOL:
            tools.look_for_timeout(at[1], tool, result)

    def _declare_again(self, trace: OpenTrace, open_: OpenSpan, agent: Any, system_prompt: str | None) -> None:
        """Complete the declaration with what is known only now: instructions by function, tools of MCP servers."""
        trace.described[agent.name] = False
        role = role_of(trace.recorder, agent.name, agent)
        more = trace.tools.get(agent.name, [])
        instructions = system_prompt if callable(agent.instructions) else None
        declare(trace, agent, role, sensitive=open_.sensitive, instructions=instructions, more_tools=more)

    def _look_why_nothing_is_open(self) -> None:
        span = get_current_span()
        if span is None or span.trace_id == "no-op":
            self._call.recorder.note_once_tracing_off()
