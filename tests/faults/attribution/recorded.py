"""Faults in recorded conversations: what the agent said and did is replayed, with one thing changed."""

from __future__ import annotations

import copy
import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import openai
from agents import Agent, GuardrailFunctionOutput, OutputGuardrail, Runner, trace
from agents.agent import ToolsToFinalOutputResult
from bench import tau
from bench.models import status_error
from faults.attribution import faults
from faults.attribution.faults import Truth
from faults.attribution.tools import SLOW_S, Answer, ToolServer, tool

from agenttrace_nb.analysis.failures.findings import Side

if TYPE_CHECKING:
    from collections.abc import Callable

Record = dict[str, Any]
_LOOPS = 4
_MANY_TURNS = 60


@dataclass
class Play:
    """A conversation as it is played: answers of the model, of the tools, and what ends it."""

    name: str
    system: str
    exchanges: list[tau.Exchange]
    tools: dict[str, Record]
    answers: dict[str, Answer]
    truth: Truth
    timeout: bool = False
    mcp: str | None = None
    trips: bool = False
    fails_at: int | None = None
    status: int = 500
    max_turns: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where a fault goes: exchange, message in it, and the call."""

    exchange: int
    message: int
    call: Record

    @property
    def name(self) -> str:
        return str(self.call["function"]["name"])


def play_of(record: Record, tools: dict[str, Record]) -> Play:
    """Return a record as it is, without a fault."""
    system, exchanges = tau.split(tau.with_unique_ids(record["traj"]))
    answers = {key: Answer(value) for exchange in exchanges for key, value in exchange.results.items()}
    name = f"airline-{record['task_id']}-{record['trial']}"
    return Play(name, system, copy.deepcopy(exchanges), tools, answers, Truth(Side.UNDETERMINED))


def places(play: Play) -> list[Place]:
    """Return the calls that a fault can go to: those of tools that look something up or change something."""
    return [
        Place(e, m, call)
        for e, exchange in enumerate(play.exchanges)
        for m, message in enumerate(exchange.answers)
        for call in message.get("tool_calls") or ()
        if call["id"] in exchange.results and not call["function"]["name"].startswith(("think", "transfer", "calc"))
    ]


def inject(fault: str, record: Record, tools: dict[str, Record], *, goes_on: bool) -> Play | None:
    """Return a record with a fault; ``None`` where it has no place for it.

    Parameters
    ----------
    goes_on
        Whether the agent goes on as it was recorded, or gives up with an apology. Faults that end a run end it.
    """
    play = play_of(record, tools)
    seed = zlib.crc32(f"{play.name}/{fault}".encode())
    found = places(play)
    if not found:
        return None
    place = found[seed % len(found)]
    play.truth = Truth(faults.SIDES[fault], ("tool", place.call["id"]))
    if not _FAULTS[fault](play, place, seed):
        return None
    if not goes_on and fault not in ("guardrail", "model_error", "max_turns", "unknown_tool"):
        _give_up(play, place, seed)
    play.name = f"{play.name}-{fault}" + ("-goes-on" if goes_on else "")
    return play


def _give_up(play: Play, place: Place, seed: int) -> None:
    exchange = play.exchanges[place.exchange]
    last = max(
        (m for m, message in enumerate(exchange.answers) if message.get("tool_calls") and m <= place.message + _LOOPS
         and (m == place.message or message.get("looped"))),
        default=place.message,
    )  # fmt: skip
    apology = {"role": "assistant", "content": faults.APOLOGIES[seed % len(faults.APOLOGIES)]}
    exchange.answers[last + 1 :] = [apology]
    del play.exchanges[place.exchange + 1 :]


# -------------------------------------------------------------------------------------------------- what goes wrong


def _tool_raises(play: Play, place: Place, seed: int) -> bool:
    play.answers[place.call["id"]] = Answer(error=faults.EXCEPTIONS[seed % len(faults.EXCEPTIONS)])
    return True


def _tool_times_out(play: Play, place: Place, seed: int) -> bool:
    play.timeout = True
    play.answers[place.call["id"]] = Answer("too late", delay_s=5)
    return True


def _soft_error(play: Play, place: Place, seed: int) -> bool:
    play.answers[place.call["id"]] = Answer(faults.SOFT_ERRORS[seed % len(faults.SOFT_ERRORS)])
    return True


def _mcp_error(play: Play, place: Place, seed: int) -> bool:
    play.mcp = place.name
    play.answers[place.call["id"]] = Answer(error=LookupError("the index is being rebuilt"))
    return True


def _empty_output(play: Play, place: Place, seed: int) -> bool:
    play.answers[place.call["id"]] = Answer(faults.EMPTY[seed % len(faults.EMPTY)])
    return not place.name.startswith(("search", "list"))


def _slow_tool(play: Play, place: Place, seed: int) -> bool:
    before = play.answers[place.call["id"]]
    play.answers[place.call["id"]] = Answer(before.value, delay_s=SLOW_S)
    return len(places(play)) > 1


def _schema_invalid_arguments(play: Play, place: Place, seed: int) -> bool:
    function = place.call["function"]
    given = json.loads(function["arguments"])
    if not given:
        return False
    key = sorted(given)[seed % len(given)]
    if seed % 2:
        del given[key]
    else:
        given[key] = {"value": given[key]} if not isinstance(given[key], dict | list) else "all of them"
    schema = play.tools[place.name]["parameters"]
    function["arguments"] = json.dumps(given)
    return key in schema.get("required", ()) or key in given


def _non_json_arguments(play: Play, place: Place, seed: int) -> bool:
    function = place.call["function"]
    function["arguments"] = function["arguments"].rstrip("} ") + (",", ': "', "", " ...")[seed % 4]
    return True


def _unknown_tool(play: Play, place: Place, seed: int) -> bool:
    place.call["function"]["name"] = (f"{place.name}s", f"fetch_{place.name}", "lookup", "run_query")[seed % 4]
    play.truth = Truth(Side.AGENT, ("llm", _number_of(play, place)))
    del play.exchanges[place.exchange + 1 :]
    return True


def _invented_id(play: Play, place: Place, seed: int) -> bool:
    function = place.call["function"]
    given = json.loads(function["arguments"])
    keys = [key for key in sorted(given) if key.endswith("_id") and isinstance(given[key], str)]
    if not keys:
        return False
    key = keys[seed % len(keys)]
    given[key] = faults.INVENTED[seed % len(faults.INVENTED)].format(n=4000 + seed % 5000)
    function["arguments"] = json.dumps(given)
    missing = faults.MISSING[seed % len(faults.MISSING)].format(key=key.removesuffix("_id").replace("_", " "))
    play.answers[place.call["id"]] = Answer(missing)
    return True


def _call_loop(play: Play, place: Place, seed: int) -> bool:
    exchange = play.exchanges[place.exchange]
    message = exchange.answers[place.message]
    if len(message["tool_calls"]) > 1 or str(play.answers[place.call["id"]].value).startswith("Error"):
        return False
    for number in range(_LOOPS):
        again = copy.deepcopy(message) | {"looped": True}
        again["tool_calls"][0]["id"] = f"{place.call['id']}_again_{number}"
        play.answers[again["tool_calls"][0]["id"]] = play.answers[place.call["id"]]
        exchange.answers.insert(place.message + 1 + number, again)
    play.truth = Truth(Side.AGENT, ("tool", f"{place.call['id']}_again_0"))
    return True


def _guardrail(play: Play, place: Place, seed: int) -> bool:
    play.trips = True
    play.truth = Truth(Side.POLICY, ("guardrail", "house_rules"))
    _give_up(play, place, seed)
    return True


def _model_error(play: Play, place: Place, seed: int) -> bool:
    play.fails_at = _number_of(play, place)
    play.status = (429, 500)[seed % 2]
    play.truth = Truth(Side.MODEL, ("llm", play.fails_at))
    return True


def _max_turns(play: Play, place: Place, seed: int) -> bool:
    longest = max(range(len(play.exchanges)), key=lambda e: len(play.exchanges[e].answers))
    if len(play.exchanges[longest].answers) < 2:
        return False
    play.max_turns[longest] = len(play.exchanges[longest].answers) - 1
    play.truth = Truth(Side.AGENT, ("agent", tau.AGENT))
    return True


_FAULTS: dict[str, Callable[[Play, Place, int], bool]] = {
    "tool_raises": _tool_raises,
    "tool_times_out": _tool_times_out,
    "soft_error": _soft_error,
    "mcp_error": _mcp_error,
    "empty_output": _empty_output,
    "slow_tool": _slow_tool,
    "schema_invalid_arguments": _schema_invalid_arguments,
    "non_json_arguments": _non_json_arguments,
    "unknown_tool": _unknown_tool,
    "invented_id": _invented_id,
    "call_loop": _call_loop,
    "guardrail": _guardrail,
    "model_error": _model_error,
    "max_turns": _max_turns,
}


def _number_of(play: Play, place: Place) -> int:
    """Return the number of a message among all answers of the model."""
    return sum(len(exchange.answers) for exchange in play.exchanges[: place.exchange]) + place.message


# -------------------------------------------------------------------------------------------------------- playing


class _Model(tau.ReplayModel):
    """Gives recorded answers back, and fails when it is told to."""

    def __init__(self, play: Play) -> None:
        super().__init__([answer for exchange in play.exchanges for answer in exchange.answers])
        self._fails_at, self._status, self._asked = play.fails_at, play.status, 0

    async def get_response(self, *args: Any, **kwargs: Any) -> Any:
        self._asked += 1
        if self._fails_at is not None and self._asked > self._fails_at:
            raise status_error(self._status)
        return await super().get_response(*args, **kwargs)


async def run(play: Play) -> None:
    """Play a conversation through the real SDK as one trace; an error that its fault leads to is taken."""
    model = _Model(play)

    def end_with_the_recording(_context: Any, done: list[Any]) -> ToolsToFinalOutputResult:
        return ToolsToFinalOutputResult(is_final_output=not model.left, final_output=done[-1].output)

    async def house_rules(_context: Any, _agent: Any, _output: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info={"reason": "tone"}, tripwire_triggered=not model.left)

    asked = [call["id"] for x in play.exchanges for m in x.answers for call in m.get("tool_calls") or ()
             if call["function"]["name"] == play.mcp]  # fmt: skip
    calls = iter(asked)
    own = [d for d in play.tools.values() if d["name"] != play.mcp]
    served = [d for d in play.tools.values() if d["name"] == play.mcp]
    agent = Agent(
        name=tau.AGENT,
        instructions=play.system,
        model=model,
        tools=[tool(d, lambda _, call_id: play.answers[call_id], timeout=play.timeout) for d in own],
        mcp_servers=[ToolServer(served, lambda _: play.answers[next(calls)])] if served else [],
        tool_use_behavior=end_with_the_recording,
        output_guardrails=[OutputGuardrail(house_rules, name="house_rules")] if play.trips else [],
    )
    history: list[Any] = []
    with trace(play.name):
        for number, exchange in enumerate(play.exchanges):
            history.append({"role": "user", "content": exchange.user})
            if not exchange.answers:
                continue
            try:
                result = await Runner.run(agent, history, max_turns=play.max_turns.get(number, _MANY_TURNS))
            except Exception as error:
                if play.truth.side is Side.UNDETERMINED or not _expected(error):
                    raise
                return
            history = result.to_input_list()


def _expected(error: Exception) -> bool:
    from agents.exceptions import AgentsException

    return isinstance(error, AgentsException | openai.APIError)
