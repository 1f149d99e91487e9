"""Recorded conversations of tau-bench (airline) replayed through the real SDK.

A record is one run of the benchmark: ``{"task_id", "trial", "reward", "info", "traj"}``, where ``traj`` is a list of
OpenAI chat messages. :func:`replay` gives the recorded answers back from a model and the recorded results from the
tools; what the SDK makes of them, :func:`rebuilt`, has to be the recording, :func:`transcript`.
"""

from __future__ import annotations

import copy
import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents import Agent, FunctionTool, Model, ModelResponse, Runner, Usage, generation_span, trace
from agents.agent import ToolsToFinalOutputResult
from agents.testing import assistant_message, function_call
from openai.types.responses import Response, ResponseCompletedEvent
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails, ResponseUsage

from bench.shared_data import folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from agents.tool_context import ToolContext

DATA_SET = "tau_bench_airline"
AGENT = "airline_agent"
MODEL = "gpt-4o"
WORKFLOW = "tau-bench airline"
MAX_TURNS = 100
CHARACTERS_PER_TOKEN = 4

Record = dict[str, Any]
Message = dict[str, Any]
Entry = tuple[str, ...]
"""``("user", text)``, ``("assistant", text)``, ``("call", tool, arguments)`` or ``("tool", result)``."""


def load_records(data: Path) -> list[Record]:
    """Read all 200 records."""
    records: list[Record] = json.loads((data / "gpt-4o-airline.json").read_text(encoding="utf-8"))
    return records


def load_tools(data: Path) -> dict[str, Record]:
    """Read the tools' declarations by name."""
    tools = json.loads((data / "tools_airline.json").read_text(encoding="utf-8"))
    return {tool["function"]["name"]: tool["function"] for tool in tools}


def with_unique_ids(messages: list[Message]) -> list[Message]:
    """Return the messages with no tool call id used twice.

    49 of the 200 recordings use one for two different calls; 16 of them do so within what is one run, which the SDK
    refuses ("Model reused a completed tool call ID").
    """
    messages = copy.deepcopy(messages)
    number = 0
    current: dict[str, str] = {}
    for message in messages:
        for call in message.get("tool_calls") or []:
            number += 1
            current[call["id"]] = f"{call['id']}_{number}"
            call["id"] = current[call["id"]]
        if message["role"] == "tool":
            message["tool_call_id"] = current[message["tool_call_id"]]
    return messages


@dataclass(frozen=True)
class Exchange:
    """What a user said and what the agent did until it answered: its messages, and its tools' results by call id."""

    user: str
    answers: list[Message] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)


def split(messages: list[Message]) -> tuple[str, list[Exchange]]:
    """Return the system prompt and the exchanges; the last user message (a stop signal) may have no answer."""
    system, *rest = messages
    assert system["role"] == "system"
    exchanges: list[Exchange] = []
    for message in rest:
        match message["role"]:
            case "user":
                exchanges.append(Exchange(message["content"]))
            case "assistant":
                exchanges[-1].answers.append(message)
            case "tool":
                exchanges[-1].results[message["tool_call_id"]] = message["content"]
    return system["content"], exchanges


class ReplayModel(Model):
    """Gives recorded assistant messages back, one a call; opens a generation span as chat models of the SDK do."""

    def __init__(self, answers: list[Message], model: str = MODEL) -> None:
        self.left = deque(answers)
        self.model = model

    async def get_response(
        self,
        system_instructions: str | None,
        input: Any,  # noqa: A002 - the SDK's name for it
        *_args: Any,
        **_kwargs: Any,
    ) -> ModelResponse:
        said = [{"role": "user", "content": input}] if isinstance(input, str) else list(input)
        prompt = [{"role": "system", "content": system_instructions}, *said]
        answer = self.left.popleft()
        usage = Usage(requests=1, input_tokens=_tokens(prompt), output_tokens=_tokens(answer))
        usage.total_tokens = usage.input_tokens + usage.output_tokens
        counts = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        with generation_span(input=prompt, output=[answer], model=self.model, usage=counts):
            return ModelResponse(output=list(_items(answer)), usage=usage, response_id=None)

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        answer = await self.get_response(*args, **kwargs)
        usage = ResponseUsage(
            input_tokens=answer.usage.input_tokens,
            output_tokens=answer.usage.output_tokens,
            total_tokens=answer.usage.total_tokens,
            input_tokens_details=InputTokensDetails(cached_tokens=0, cache_write_tokens=0),
            output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
        )
        response = Response(
            id="resp_replayed",
            created_at=0,
            model=self.model,
            object="response",
            output=answer.output,
            tool_choice="auto",
            tools=[],
            parallel_tool_calls=True,
            usage=usage,
        )
        yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=0)


def _tokens(value: object) -> int:
    return len(json.dumps(value, default=str)) // CHARACTERS_PER_TOKEN


def _items(answer: Message) -> Iterator[Any]:
    if answer.get("content"):
        yield assistant_message(answer["content"])
    for call in answer.get("tool_calls") or []:
        yield function_call(call["function"]["name"], call["function"]["arguments"], call_id=call["id"])


def _replaying_tool(declaration: Record, results: dict[str, str]) -> FunctionTool:
    async def give_back(context: ToolContext[Any], _arguments: str) -> str:
        return results[context.tool_call_id]

    return FunctionTool(
        name=declaration["name"],
        description=declaration["description"],
        params_json_schema=declaration["parameters"],
        on_invoke_tool=give_back,
        strict_json_schema=False,  # the declarations are the recording's
    )


async def replay(record: Record, tools: dict[str, Record], *, streamed: bool = False) -> list[Any]:
    """Replay one record as one SDK trace; return the conversation as the SDK has it in the end (input items)."""
    system, exchanges = split(with_unique_ids(record["traj"]))
    results = {call_id: result for exchange in exchanges for call_id, result in exchange.results.items()}
    model = ReplayModel([answer for exchange in exchanges for answer in exchange.answers])

    def end_with_the_recording(_context: Any, done: list[Any]) -> ToolsToFinalOutputResult:
        # Some conversations end on a tool's result (a transfer to a human) without a closing word of the agent.
        return ToolsToFinalOutputResult(is_final_output=not model.left, final_output=done[-1].output)

    agent = Agent(
        name=AGENT,
        instructions=system,
        model=model,
        tools=[_replaying_tool(declaration, results) for declaration in tools.values()],
        tool_use_behavior=end_with_the_recording,
    )
    history: list[Any] = []
    metadata = {"task_id": str(record["task_id"]), "trial": str(record["trial"])}
    with trace(WORKFLOW, metadata=metadata, group_id=f"task-{record['task_id']}"):
        for exchange in exchanges:
            history.append({"role": "user", "content": exchange.user})
            if not exchange.answers:
                continue
            if streamed:
                result = Runner.run_streamed(agent, history, max_turns=MAX_TURNS)
                async for _event in result.stream_events():
                    pass
            else:
                result = await Runner.run(agent, history, max_turns=MAX_TURNS)
            history = result.to_input_list()
    assert not model.left
    return history


def transcript(record: Record) -> list[Entry]:
    """Return what was said and done in a record, in order."""
    entries: list[Entry] = []
    for message in record["traj"][1:]:
        if message["role"] == "assistant":
            if message.get("content"):
                entries.append(("assistant", message["content"]))
            functions = (call["function"] for call in message.get("tool_calls") or [])
            entries.extend(("call", function["name"], function["arguments"]) for function in functions)
        else:
            entries.append((message["role"], message["content"]))
    return entries


def rebuilt(history: list[Any]) -> list[Entry]:
    """Return what was said and done according to the SDK's input items, in order."""
    entries: list[Entry] = []
    for item in history:
        match item.get("type"):
            case "function_call":
                entries.append(("call", item["name"], item["arguments"]))
            case "function_call_output":
                entries.append(("tool", item["output"]))
            case _ if item.get("role") == "user":
                entries.append(("user", item["content"]))
            case _:
                entries.append(("assistant", "".join(part["text"] for part in item["content"])))
    return entries


def as_bytes(entries: list[Entry]) -> bytes:
    """Return a transcript as bytes, so that two can be compared byte for byte."""
    return json.dumps(entries, ensure_ascii=False, indent=0).encode()


def data() -> Path | None:
    """Return the folder of the data set, or None where it is not at hand."""
    return folder(DATA_SET)
