"""A deterministic, offline stand-in for a language model: scripts of steps, one script per agent.

An agent chooses its script with a marker in its instructions, ``[[triage]]``. Everything the brain hands out (ids,
tokens, texts) follows from the script's key and the position in it, never from a clock, a counter shared between agents
or the order in which parallel agents happen to ask. A :class:`Script` belongs to one test and is thread safe.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MARKER = re.compile(r"\[\[([\w-]+)\]\]")


class ScriptError(LookupError):
    """The model was asked something the script does not know."""


@dataclass(frozen=True)
class TokenUsage:
    """Tokens of one model call, as a provider reports them (cached and reasoning are parts, not additions)."""

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.reasoning + other.reasoning,
        )


@dataclass(frozen=True)
class Call:
    """One tool call the model asks for.

    ``runs=False``: no function is ever run for it (the tool is unknown, or was refused its approval).
    """

    name: str
    arguments: str
    runs: bool = True

    @property
    def is_handoff(self) -> bool:
        return self.name.startswith("transfer_to_")


@dataclass(frozen=True)
class Step:
    """One answer of the model.

    ``lost`` says that the caller never receives the answer (cancelled, broken off): it is asked for, so it counts as a
    call, but its tokens can be known to nobody.
    """

    text: str | None = None
    calls: tuple[Call, ...] = ()
    reasoning: str | None = None
    http_error: int | None = None
    retry_after: str = "0"
    usage: TokenUsage | None = None
    delay_s: float = 0.0
    token_delay_s: float = 0.0
    lost: bool = False

    @property
    def answered(self) -> bool:
        return self.http_error is None and not self.lost


def call(name: str, /, **arguments: Any) -> Call:
    """Return a well-formed tool call."""
    return Call(name, json.dumps(arguments))


def handoff(to_agent: str) -> Call:
    """Return the call by which the SDK's default handoff to ``to_agent`` is made."""
    return Call("transfer_to_" + to_agent.lower().replace(" ", "_"), "{}")


def say(text: object, **options: Any) -> Step:
    """Return a step that answers with text; anything but a string is written as JSON."""
    return Step(text=text if isinstance(text, str) else json.dumps(text), **options)


def use(*calls: Call, **options: Any) -> Step:
    """Return a step that asks for tools."""
    return Step(calls=calls, **options)


def fail(status: int, **options: Any) -> Step:
    """Return a step that answers with an HTTP error; with 429 goes ``retry_after``."""
    return Step(http_error=status, **options)


@dataclass(frozen=True)
class Turn:
    """One step as it was handed out: whose, the how-manieth, and with which ids."""

    key: str
    index: int
    step: Step
    usage: TokenUsage

    def id(self, prefix: str, part: int = 0) -> str:
        return f"{prefix}_{self.key}_{self.index}_{part}"

    def words(self) -> list[str]:
        """Return the text cut into the pieces a streamed answer is made of."""
        return re.findall(r"\S+\s*|\s+", self.step.text or "")


@dataclass
class Script:
    """Steps by key; hands them out one by one and remembers what it handed out.

    Parameters
    ----------
    steps
        For each key the steps in their order. A script that runs out raises :class:`ScriptError`: a test that asks more
        often than it planned is wrong, and must not go on with made-up answers.
    """

    steps: Mapping[str, Sequence[Step]]
    served: list[Turn] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _position: dict[str, int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._turns = {turn_key(turn): turn for turn in self._number()}

    def _number(self) -> Iterator[Turn]:
        number = 0
        for key, steps in self.steps.items():
            for index, step in enumerate(steps):
                number += 1
                # Different for each step, so that swapped, doubled and lost counts all show in a sum.
                default = TokenUsage(100 + 13 * number, 20 + 3 * number, cached=8 * number, reasoning=number)
                yield Turn(key, index, step, step.usage or default)

    def take(self, instructions: str | None) -> Turn:
        """Return the next turn of the script that ``instructions`` name.

        Raises
        ------
        ScriptError
            If there is no marker, no script of that key, or no step left.
        """
        marker = MARKER.search(instructions or "")
        if marker is None:
            raise ScriptError(f"no [[key]] marker in the instructions {instructions!r}; scripts: {sorted(self.steps)}")
        key = marker[1]
        with self._lock:
            index = self._position.get(key, 0)
            turn = self._turns.get((key, index))
            if turn is None:
                raise ScriptError(f"script {key!r} has no step {index}; steps: {self._lengths()}")
            self._position[key] = index + 1
            self.served.append(turn)
        return turn

    def _lengths(self) -> dict[str, int]:
        return {key: len(steps) for key, steps in self.steps.items()}

    @property
    def all_turns(self) -> list[Turn]:
        return list(self._turns.values())

    @property
    def left(self) -> list[Turn]:
        """Turns nobody asked for."""
        with self._lock:
            served = {turn_key(turn) for turn in self.served}
        return [turn for turn in self.all_turns if turn_key(turn) not in served]

    def answered_usage(self, turns: Sequence[Turn] | None = None) -> TokenUsage:
        """Return the tokens of all answers that reach the caller."""
        turns = self.all_turns if turns is None else turns
        return sum((turn.usage for turn in turns if turn.step.answered), start=TokenUsage(0, 0))

    def tool_calls(self) -> list[Call]:
        """Return the calls that lead to a function being run, in the order of the script."""
        calls = (call for turn in self.all_turns if turn.step.answered for call in turn.step.calls)
        return [call for call in calls if call.runs and not call.is_handoff]

    def fresh(self) -> Script:
        """Return the same script, not yet begun."""
        return replace(self, served=[], _lock=threading.Lock(), _position={})


def turn_key(turn: Turn) -> tuple[str, int]:
    """Return what identifies a turn within its script."""
    return turn.key, turn.index
