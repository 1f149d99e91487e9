"""Faults in graphs of our own: a desk that hands over to one of two specialists, who look something up and act."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import openai
from agents import Agent, GuardrailFunctionOutput, InputGuardrail, ModelResponse, Runner, Usage, trace
from agents.exceptions import AgentsException
from agents.models.interface import Model
from agents.testing import assistant_message, function_call
from bench.models import status_error
from faults.attribution import faults
from faults.attribution.faults import Truth
from faults.attribution.tools import SLOW_S, Answer, ToolServer, tool

from agenttrace_nb.analysis.failures.findings import Side

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Said = tuple[str, ...]
"""``("say", text)``, ``("use", tool, arguments, call id)``, ``("to", agent)`` or ``("fail", status)``."""


@dataclass(frozen=True)
class Desk:
    """One domain: who there is, what they have, and how a request goes well."""

    key: str
    request: str
    thing: str
    right: str
    wrong: str
    look: str
    act: str
    record: Any
    done: Any
    value: int
    thanks: str
    declines: str

    @property
    def id_name(self) -> str:
        """The argument by which a thing is named."""
        return f"{self.look.split('_')[-1]}_id"


DESKS = (
    Desk("shop", "I want my money back for order A-4417.", "A-4417", "Refunds", "Delivery", "get_order", "refund_order",
         {"order": "A-4417", "items": ["chair"], "paid": 120}, {"refunded": 120}, 120, "You get 120 back.",
         "I only handle deliveries."),
    Desk("library", "Please extend the loan LN88213 by 14 days.", "LN88213", "Loans", "Acquisitions", "find_loan",
         "extend_loan", "Loan LN88213: Middlemarch, due on the 3rd", "extended", 14, "Extended by 14 days.",
         "I cannot do that; I buy books."),
    Desk("lab", "What is the result of sample S-0091-B, and file it under study 7?", "S-0091-B", "Samples", "Billing",
         "read_sample", "file_sample", {"sample": "S-0091-B", "ph": 7.4}, {"filed": True}, 7, "pH 7.4; it is filed.",
         "That is not my department."),
    Desk("it", "My laptop NB-20931 is slow, raise its memory to 32.", "NB-20931", "Hardware", "Accounts", "show_device",
         "upgrade_device", '{"device": "NB-20931", "memory": 16}', '{"memory": 32}', 32, "It has 32 now.",
         "I am unable to help with devices."),
    Desk("bank", "Block the card 4929-1180 for 30 days, bitte.", "4929-1180", "Cards", "Mortgages", "fetch_card",
         "block_card", {"card": "4929-1180", "state": "active"}, {"state": "blocked"}, 30,
         "Die Karte ist für 30 Tage gesperrt.", "Dafür bin ich nicht zuständig."),
    Desk("travel", "Change the seat of booking QK7XW2 to row 12.", "QK7XW2", "Seats", "Hotels", "lookup_booking",
         "change_booking", {"booking": "QK7XW2", "row": 30}, {"row": 12}, 12, "You now sit in row 12.",
         "I can't change seats, I only do hotels."),
    Desk("clinic", "Move the appointment AP-5520 by 45 minutes.", "AP-5520", "Appointments", "Pharmacy",
         "view_appointment", "move_appointment", "AP-5520 at 9:15", "moved", 45, "It is 45 minutes later.",
         "No puedo ayudar con citas."),
    Desk("energy", "Meter M3-77120: set the monthly rate to 60.", "M3-77120", "Metering", "Complaints", "read_meter",
         "rate_meter", {"meter": "M3-77120", "rate": 55, "unit": "EUR"}, {"rate": 60}, 60, "The rate is 60 now.",
         "Wrong team, I take complaints."),
)  # fmt: skip

FAULTS = tuple(faults.SIDES)


@dataclass
class Play:
    """A request as it is played."""

    name: str
    desk: Desk
    lines: dict[str, list[Said]]
    answers: dict[str, Answer]
    truth: Truth
    timeout: bool = False
    mcp: bool = False
    trips: bool = False
    max_turns: int = 20
    served: list[str] = field(default_factory=list)


def play_of(desk: Desk) -> Play:
    """Return a request that goes well."""
    who = {desk.id_name: desk.thing}
    lines: dict[str, list[Said]] = {
        "Desk": [("to", desk.right)],
        desk.right: [
            ("use", desk.look, json.dumps(who), "look"),
            ("use", desk.act, json.dumps(who | {"value": desk.value}), "act"),
            ("say", desk.thanks),
        ],
        desk.wrong: [],
    }
    answers = {"look": Answer(desk.record), "act": Answer(desk.done)}
    return Play(desk.key, desk, lines, answers, Truth(Side.UNDETERMINED))


def inject(fault: str, desk: Desk, seed: int) -> Play:
    """Return a request with a fault."""
    play = play_of(desk)
    play.name = f"{desk.key}-{fault}"
    where = ("look", "act")[seed % 2]
    play.truth = Truth(faults.SIDES[fault], ("tool", where))
    apology = ("say", faults.APOLOGIES[seed % len(faults.APOLOGIES)])
    lines = play.lines[desk.right]
    at = 0 if where == "look" else 1
    _CHANGES[fault](play, where, at, seed)
    if fault in _GIVES_UP:
        lines[at + 1 :] = [apology]
    return play


_GIVES_UP = frozenset({"tool_raises", "tool_times_out", "soft_error", "mcp_error", "empty_output",
                       "schema_invalid_arguments", "non_json_arguments", "invented_id"})  # fmt: skip


HARMLESS = ("error_and_retry", "arguments_corrected", "asked_twice", "found_nothing", "said_no", "passed_on")


def harmless(kind: str, desk: Desk) -> Play:
    """Return a request in which something goes wrong that is made up for, or that is no fault at all."""
    play = play_of(desk)
    play.name = f"{desk.key}-{kind}"
    lines = play.lines[desk.right]
    first = lines[0]
    again = (*first[:3], "again")
    play.answers["again"] = play.answers["look"]
    if kind == "error_and_retry":
        play.answers["look"] = Answer(error=faults.EXCEPTIONS[len(desk.key) % len(faults.EXCEPTIONS)])
    elif kind == "arguments_corrected":
        lines[0] = (first[0], first[1], "{}", first[3])
    elif kind == "found_nothing":
        play.answers["look"] = Answer("[]")
    elif kind == "said_no":
        play.answers["act"] = Answer("Error: not enough left for this")
        return play
    elif kind == "passed_on":
        play.lines = {"Desk": [("to", desk.wrong), ("to", desk.right)], desk.wrong: [("to", "Desk")], desk.right: lines}
        return play
    lines.insert(1, again)
    return play


def _with_arguments(play: Play, at: int, text: str) -> None:
    line = play.lines[play.desk.right][at]
    play.lines[play.desk.right][at] = (line[0], line[1], text, line[3])


def _raises(play: Play, where: str, at: int, seed: int) -> None:
    play.answers[where] = Answer(error=faults.EXCEPTIONS[seed % len(faults.EXCEPTIONS)])


def _times_out(play: Play, where: str, at: int, seed: int) -> None:
    play.timeout, play.answers[where] = True, Answer("too late", delay_s=5)


def _soft(play: Play, where: str, at: int, seed: int) -> None:
    play.answers[where] = Answer(faults.SOFT_ERRORS[seed % len(faults.SOFT_ERRORS)])


def _mcp(play: Play, where: str, at: int, seed: int) -> None:
    play.mcp, play.answers[where] = True, Answer(error=LookupError("shard 3 does not answer"))


def _empty(play: Play, where: str, at: int, seed: int) -> None:
    play.answers[where] = Answer(faults.EMPTY[seed % len(faults.EMPTY)])


def _slow(play: Play, where: str, at: int, seed: int) -> None:
    play.answers[where] = Answer(play.answers[where].value, delay_s=SLOW_S)


def _misfit(play: Play, where: str, at: int, seed: int) -> None:
    given = json.loads(play.lines[play.desk.right][at][2])
    if seed % 3 == 0:
        given = {}
    elif where == "act":
        given["value"] = "a lot"
    else:
        given[play.desk.id_name] = [play.desk.thing]
    _with_arguments(play, at, json.dumps(given))


def _no_json(play: Play, where: str, at: int, seed: int) -> None:
    _with_arguments(play, at, play.lines[play.desk.right][at][2][: -1 - seed % 4])


def _unknown(play: Play, where: str, at: int, seed: int) -> None:
    line = play.lines[play.desk.right][at]
    play.lines[play.desk.right][at:] = [("use", f"{line[1]}_{('v2', 'now', 'all')[seed % 3]}", line[2], line[3])]
    play.truth = Truth(Side.AGENT, ("llm", 1 + at))


def _invent(play: Play, where: str, at: int, seed: int) -> None:
    given = json.loads(play.lines[play.desk.right][at][2])
    given[play.desk.id_name] = faults.INVENTED[seed % len(faults.INVENTED)].format(n=5100 + seed)
    _with_arguments(play, at, json.dumps(given))
    play.answers[where] = Answer(faults.MISSING[seed % len(faults.MISSING)].format(key=play.desk.id_name[:-3]))


def _loop(play: Play, where: str, at: int, seed: int) -> None:
    line = play.lines[play.desk.right][at]
    again = [(*line[:3], f"{line[3]}{n}") for n in range(3)]
    play.answers |= {a[3]: play.answers[where] for a in again}
    play.lines[play.desk.right][at + 1 : at + 1] = again
    play.truth = Truth(Side.AGENT, ("tool", f"{line[3]}0"))


def _ping_pong(play: Play, where: str, at: int, seed: int) -> None:
    desk = play.desk
    play.lines = {
        "Desk": [("to", desk.wrong)] * 3 + [("say", faults.APOLOGIES[seed % len(faults.APOLOGIES)])],
        desk.wrong: [("to", "Desk")] * 3,
        desk.right: [],
    }
    play.truth = Truth(Side.AGENT, ("handoff", 1))


def _wrong(play: Play, where: str, at: int, seed: int) -> None:
    desk = play.desk
    play.lines = {"Desk": [("to", desk.wrong)], desk.wrong: [("say", desk.declines)], desk.right: []}
    play.truth = Truth(Side.AGENT, ("handoff", 0))


def _max_turns(play: Play, where: str, at: int, seed: int) -> None:
    play.max_turns = 2 + at
    play.truth = Truth(Side.AGENT, ("agent", play.desk.right))


def _guardrail(play: Play, where: str, at: int, seed: int) -> None:
    play.trips = True
    play.lines["Desk"] = [("say", "Gladly.")] if seed % 2 else play.lines["Desk"]
    play.truth = Truth(Side.POLICY, ("guardrail", "no_requests"))


def _model(play: Play, where: str, at: int, seed: int) -> None:
    play.lines[play.desk.right][at:] = [("fail", ("429", "500")[seed % 2])]
    play.truth = Truth(Side.MODEL, ("llm", 1 + at))


_CHANGES: dict[str, Any] = {
    "tool_raises": _raises, "tool_times_out": _times_out, "soft_error": _soft, "mcp_error": _mcp,
    "empty_output": _empty, "slow_tool": _slow, "schema_invalid_arguments": _misfit, "non_json_arguments": _no_json,
    "unknown_tool": _unknown, "invented_id": _invent, "call_loop": _loop, "ping_pong": _ping_pong,
    "wrong_handoff": _wrong, "max_turns": _max_turns, "guardrail": _guardrail, "model_error": _model,
}  # fmt: skip


class _Lines(Model):
    """A model that says an agent's lines one by one."""

    def __init__(self, lines: list[Said]) -> None:
        self.left = deque(lines)

    async def get_response(self, *_: Any, **__: Any) -> ModelResponse:
        line = self.left.popleft()
        usage = Usage(requests=1, input_tokens=50, output_tokens=9, total_tokens=59)
        return ModelResponse(output=[_item(line, len(self.left))], usage=usage, response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        raise NotImplementedError


def _item(line: Said, left: int) -> Any:
    if line[0] == "say":
        return assistant_message(line[1])
    if line[0] == "fail":
        raise status_error(int(line[1]))
    if line[0] == "to":
        return function_call(f"transfer_to_{line[1].lower()}", "{}", call_id=f"to_{line[1]}_{left}")
    return function_call(line[1], line[2], call_id=line[3])


def _declarations(desk: Desk) -> list[dict[str, Any]]:
    thing = {desk.id_name: {"type": "string"}}
    return [
        {"name": desk.look, "description": "Get the record.",
         "parameters": {"type": "object", "properties": thing, "required": [desk.id_name]}},
        {"name": desk.act, "description": "Change the record.",
         "parameters": {"type": "object", "properties": thing | {"value": {"type": "integer"}},
                        "required": [desk.id_name, "value"]}},
    ]  # fmt: skip


async def run(play: Play) -> None:
    """Play a request through the real SDK as one trace."""
    desk = play.desk
    declared = _declarations(desk)
    by_tool = {desk.look: "look", desk.act: "act"}

    async def no_requests(_context: Any, _agent: Any, _given: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info="not allowed here", tripwire_triggered=True)

    def agent(name: str, **options: Any) -> Agent:
        return Agent(name=name, instructions=f"You are {name}.", model=_Lines(play.lines[name]), **options)

    served = ToolServer(declared, lambda name: play.answers[by_tool[name]])
    has = {"mcp_servers": [served]} if play.mcp else {
        "tools": [tool(d, lambda _, call_id: play.answers[call_id], timeout=play.timeout) for d in declared]
    }  # fmt: skip
    right = agent(desk.right, **has)
    wrong = agent(desk.wrong)
    guardrails = [InputGuardrail(no_requests, run_in_parallel=False)] if play.trips else []
    first = agent("Desk", handoffs=[right, wrong], input_guardrails=guardrails)
    wrong.handoffs = [first]
    with trace(play.name):
        try:
            await Runner.run(first, desk.request, max_turns=play.max_turns)
        except (AgentsException, openai.APIError):
            if play.truth.side is Side.UNDETERMINED:
                raise
