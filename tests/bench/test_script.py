"""A script answers the same whoever asks, and refuses what it does not know."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.script import Script, ScriptError, TokenUsage, call, fail, handoff, say, turn_key, use


def test_script_answers_do_not_depend_on_who_asks_first():
    steps = {"a": [use(call("f", x=1)), say("one")], "b": [say("two")]}
    orders = (["a", "a", "b"], ["b", "a", "a"], ["a", "b", "a"])
    answers = []
    for order in orders:
        script = Script(steps)
        turns = sorted((script.take(f"[[{key}]]") for key in order), key=turn_key)
        answers.append([(turn.id("resp"), turn.usage, turn.step) for turn in turns])
    assert answers[0] == answers[1] == answers[2]
    assert len({usage for _, usage, _ in answers[0]}) == 3


def test_script_hands_each_step_out_once_to_many_threads():
    script = Script({"a": [say(str(n)) for n in range(1000)]})
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda _: script.take("[[a]]").step.text, range(1000)))
    assert sorted(texts, key=int) == [str(n) for n in range(1000)]
    assert script.left == []


@pytest.mark.parametrize(
    ("instructions", "message"),
    [
        (None, "no .* marker in the instructions None; scripts: .'a'."),
        ("help", "no .* marker in the instructions 'help'"),
        ("[[b]]", "script 'b' has no step 0; steps: {'a': 1}"),
    ],
)
def test_script_refuses_what_it_does_not_know(instructions, message):
    with pytest.raises(ScriptError, match=message):
        Script({"a": [say("x")]}).take(instructions)


def test_script_that_runs_out_says_so_and_begins_anew_when_asked():
    script = Script({"a": [say("x")]})
    script.take("[[a]]")
    with pytest.raises(ScriptError, match="script 'a' has no step 1"):
        script.take("[[a]]")
    assert script.fresh().take("[[a]]").step.text == "x"


def test_script_counts_only_answers_that_arrive():
    script = Script(
        {
            "a": [
                use(call("f"), handoff("B"), usage=TokenUsage(1, 2)),
                fail(429, usage=TokenUsage(10, 20)),
                say("x", lost=True, usage=TokenUsage(100, 200)),
                say("y", usage=TokenUsage(1000, 2000, cached=5, reasoning=6)),
            ]
        }
    )
    assert script.answered_usage() == TokenUsage(1001, 2002, cached=5, reasoning=6)
    assert [made.name for made in script.tool_calls()] == ["f"]
