"""What a scenario is, the registry of all of them, and how one is played."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.models import DEFAULT_MODEL, Bench, Kind
from bench.script import Script, TokenUsage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bench.script import Step, Turn

GOLDEN = Path(__file__).parents[1] / "golden"
ALL = frozenset(Kind)


@dataclass
class Outcome:
    """What a played scenario left behind.

    Attributes
    ----------
    final_output
        The answer the user got (the last one, of several runs).
    results
        The SDK's result objects, for those who want to look closer.
    error
        The exception that ended the scenario, if it was the expected one; any other is raised.
    """

    final_output: Any = None
    results: list[Any] = field(default_factory=list)
    error: BaseException | None = None


@dataclass(frozen=True)
class Expected:
    """What a faithful recording shows, computed from the script and never from a recording.

    Attributes
    ----------
    llm_calls
        Model calls made, failed and cancelled ones included.
    tool_calls
        Tools asked for and run (agents as tools included, handoffs not).
    tokens
        Tokens of all answers that came back; ``None`` where no part of the program can know them.
    """

    llm_calls: int
    tool_calls: int
    tokens: TokenUsage | None


@dataclass(frozen=True)
class Scenario:
    """One way in which agents are used or go wrong.

    Attributes
    ----------
    name, title
        Identifier and a sentence.
    play
        The coroutine function; it raises what the user's cell would raise.
    steps
        The script: what the model answers, by key.
    answer
        The final output; None if there is none.
    raises
        The exception that reaches the user, or None.
    traces
        How many SDK traces it makes.
    streamed, include_usage
        Whether the agents' models are asked for a stream, and whether usage is asked for in it.
    group_id
        The SDK group (conversation) the traces belong to.
    approvals
        How often a tool only asks for approval: the SDK opens a function span for that too.
    traced
        False if the user has switched tracing off: nothing at all may be recorded.
    content
        False if the user has forbidden inputs and outputs in traces.
    secrets
        Strings that must not be found in anything that is stored.
    """

    name: str
    title: str
    play: Callable[[Bench], Awaitable[Outcome]]
    steps: Mapping[str, Sequence[Step]]
    kinds: frozenset[Kind] = ALL
    answer: Any = None
    raises: type[BaseException] | None = None
    traces: int = 1
    streamed: bool = False
    include_usage: bool = False
    group_id: str | None = None
    approvals: int = 0
    traced: bool = True
    content: bool = True
    secrets: tuple[str, ...] = ()

    def script(self) -> Script:
        return Script(self.steps)

    def usage_known(self, kind: Kind) -> bool:
        """Say whether the provider tells the tokens: a streamed chat does so only when it is asked to."""
        return not (kind is Kind.CHAT and self.streamed and not self.include_usage)

    def expected(self, kind: Kind) -> Expected:
        script = self.script()
        answered = [turn for turn in script.all_turns if turn.step.answered]
        known = self.usage_known(kind) and bool(answered)
        return Expected(
            llm_calls=len(script.all_turns),
            tool_calls=len(script.tool_calls()),
            tokens=script.answered_usage() if known else None,
        )

    def turn_of(self, key: str, index: int) -> Turn:
        """Return one turn of the script, for its ids and tokens."""
        return next(turn for turn in self.script().all_turns if (turn.key, turn.index) == (key, index))

    def golden(self, kind: Kind) -> str:
        """Return the expected tree as text (format: ``bench/tree.py``)."""
        text = (GOLDEN / f"{self.name}.txt").read_text(encoding="utf-8")
        return for_kind(text, kind)


def for_kind(text: str, kind: Kind) -> str:
    """Choose the lines of a golden text that hold for ``kind`` and fill in the model's name.

    A line that begins with ``[RC]`` holds for these kinds only. ``MODEL`` is the name a model goes by: ScriptedModel
    has none, so it goes by its class.
    """
    lines = []
    for line in text.splitlines():
        only = re.match(r"(\s*)\[([RCBE]+)\] (.*)", line)
        if only is None:
            lines.append(line)
        elif kind.value in only[2]:
            lines.append(only[1] + only[3])
    model = "ScriptedModel" if kind is Kind.SCRIPTED else DEFAULT_MODEL
    return "\n".join(lines).replace("MODEL", model) + "\n"


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    steps: Mapping[str, Sequence[Step]], **options: Any
) -> Callable[[Callable[[Bench], Awaitable[Outcome]]], Scenario]:
    """Register the decorated coroutine function as a scenario of its own name; the docstring is its title."""

    def register(play: Callable[[Bench], Awaitable[Outcome]]) -> Scenario:
        name = play.__name__
        title = (play.__doc__ or "").strip()
        SCENARIOS[name] = Scenario(name, title, play, steps, **options)
        return SCENARIOS[name]

    return register


async def play(one: Scenario, bench: Bench) -> Outcome:
    """Play a scenario; return its outcome also when it ends with the exception it is expected to end with."""
    try:
        outcome = await one.play(bench)
    except BaseException as error:
        task = asyncio.current_task()
        if type(error) is not one.raises or (task is not None and task.cancelling()):
            raise  # something else went wrong, or it is we who are cancelled
        return Outcome(error=error)
    if one.raises is not None:
        raise AssertionError(f"{one.name} ended without {one.raises.__name__}")
    return outcome


async def run(one: Scenario, kind: Kind) -> Outcome:
    """Play a scenario on a bench of its own, from the first model to the last closed connection.

    Raises
    ------
    AssertionError
        If the models were asked something else than the script foresees, or less.
    """
    async with Bench(kind, one.script()) as bench:
        outcome = await play(one, bench)
        problems = bench.problems
    assert not problems, f"{one.name} with {kind.value}: {problems}"
    return outcome
