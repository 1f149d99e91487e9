"""Run hooks that are put around the user's own: content at the start of a step, and models that open no span."""

from __future__ import annotations

from typing import Any

from agents import RunHooks

from agenttrace_nb.capture import llm as llm_calls
from agenttrace_nb.capture import mcp
from agenttrace_nb.capture.active import quiet, role_of
from agenttrace_nb.capture.declared import describe_agent
from agenttrace_nb.capture.state import Call, here
from agenttrace_nb.journal.events import EventKind
from agenttrace_nb.spans import SpanKind


class JournalHooks(RunHooks[Any]):
    """Records, then calls the user's hooks.

    Parameters
    ----------
    call
        The call of the runner that these hooks belong to.
    user
        The hooks that the user gave, if any.
    """

    def __init__(self, call: Call, user: RunHooks[Any] | None) -> None:
        self._call = call
        self._user = user

    async def on_agent_start(self, context: Any, agent: Any) -> None:
        """Keep what the agent was declared to be, once for each trace."""
        self._agent_start(agent)
        if self._user is not None:
            await self._user.on_agent_start(context, agent)

    async def on_agent_end(self, context: Any, agent: Any, output: Any) -> None:
        """Keep the final output until the agent's span ends."""
        self._agent_end(output)
        if self._user is not None:
            await self._user.on_agent_end(context, agent, output)

    async def on_llm_start(self, context: Any, agent: Any, system_prompt: str | None, input_items: Any) -> None:
        """Open the LLM span with its whole prompt."""
        self._llm_start(agent, system_prompt, input_items)
        if self._user is not None:
            await self._user.on_llm_start(context, agent, system_prompt, input_items)

    async def on_llm_end(self, context: Any, agent: Any, response: Any) -> None:
        """Close the LLM span with its answer."""
        self._llm_end(response)
        if self._user is not None:
            await self._user.on_llm_end(context, agent, response)

    async def on_tool_start(self, context: Any, agent: Any, tool: Any) -> None:
        """Keep the arguments while the tool still works."""
        self._tool_start(context, tool)
        if self._user is not None:
            await self._user.on_tool_start(context, agent, tool)

    async def on_tool_end(self, context: Any, agent: Any, tool: Any, result: Any) -> None:
        """Pass on; the tool's span knows its result."""
        if self._user is not None:
            await self._user.on_tool_end(context, agent, tool, result)

    async def on_handoff(self, context: Any, from_agent: Any, to_agent: Any) -> None:
        """Pass on; the handoff has a span."""
        if self._user is not None:
            await self._user.on_handoff(context, from_agent, to_agent)

    @quiet
    def _agent_start(self, agent: Any) -> None:
        at = here()
        if at is None:
            self._call.recorder.note_once_tracing_off()
            return
        trace, open_, _ = at
        role = role_of(trace.recorder, agent.name, agent)
        span = open_.nearest(SpanKind.AGENT)
        if span is not None and role is not None and span.role != role:
            span.role = role
            trace.recorder.append(EventKind.SPAN_UPDATE, trace.trace_id, span.span_id, {"role": role})
        if open_.role is None:
            open_.role = role
        if agent.name in trace.described:
            return
        trace.described.add(agent.name)
        mcp.watch(getattr(agent, "mcp_servers", None))
        body, content = describe_agent(agent, sensitive=self._call.sensitive)
        trace.recorder.append(EventKind.AGENT, trace.trace_id, body={**body, "role": role}, content=content)

    @quiet
    def _agent_end(self, output: Any) -> None:
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
        if at is not None:
            llm_calls.start_llm(at, self._call, agent, system_prompt, input_items)

    @quiet
    def _llm_end(self, response: Any) -> None:
        at = here()
        if at is not None:
            llm_calls.end_llm(at[0], at[2], response)

    @quiet
    def _tool_start(self, context: Any, tool: Any) -> None:
        at = here()
        if at is None or at[1].kind is not SpanKind.TOOL:
            return
        trace, open_, _ = at
        open_.call_id = getattr(context, "tool_call_id", None)
        open_.timeout_s = getattr(tool, "timeout_seconds", None)
        arguments = getattr(context, "tool_arguments", None)
        content = {"input": arguments} if open_.sensitive and arguments is not None else {}
        body = {"attributes": {"call_id": open_.call_id}}
        trace.recorder.append(EventKind.SPAN_UPDATE, trace.trace_id, open_.span_id, body, content, urgent=True)
