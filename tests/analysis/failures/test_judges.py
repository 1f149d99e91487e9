"""A judge has its say beside the rules, in the same result; what it cannot say is no error."""

from __future__ import annotations

import json

import pytest

import agenttrace_nb as at
from agenttrace_nb.analysis.failures.findings import Side
from agenttrace_nb.analysis.failures.judges import Question, Verdict, agreement, side_of
from agenttrace_nb.config import OptionError
from analysis.failures.traces import Build, failed


def broken() -> Build:
    run = Build()
    run.call("read", {"n": 1}, None, **failed())
    run.say("I could not.")
    return run


def test_a_judge_that_agrees_makes_the_rules_surer() -> None:
    run = broken()
    alone = at.attribute_failure(run.trace)
    joint = at.attribute_failure(run.trace, judge=lambda q: Verdict(side="external tool", span_id=q.rules.top.span_id))
    assert joint.candidates[0].confidence > alone.candidates[0].confidence
    assert joint.candidates[0].rule == "tool_raised"


def test_a_surer_judge_that_differs_goes_first_and_the_rules_stay() -> None:
    run = broken()
    answer = run.trace.spans[-1]
    judge = {"side": "agent reasoning", "span_id": answer.span_id, "reason": "it gave up", "confidence": 0.9}
    joint = at.attribute_failure(run.trace, judge=lambda _: judge)
    assert [(c.rule, c.side) for c in joint.candidates] == [("judge", Side.AGENT), ("tool_raised", Side.TOOL)]


def test_a_perfect_judge_is_right_wherever_it_is_asked() -> None:
    run = broken()
    for side in list(Side)[:-1]:
        for span in run.trace.spans:
            truth = Verdict(side=side, span_id=span.span_id, reason="known", confidence=1.0)
            said = at.attribute_failure(run.trace, judge=lambda _, truth=truth: truth)
            assert (said.side, said.candidates[0].span_id) == (side, span.span_id)


def test_a_language_model_behind_a_function_is_told_the_story_and_may_answer_in_json() -> None:
    asked: list[Question] = []

    def model(question: Question) -> dict[str, object]:
        asked.append(question)
        return json.loads('{"side": "environment", "span_id": null, "reason": "disk", "confidence": 0.99}')

    said = at.attribute_failure(broken().trace, judge=model)
    assert said.side is Side.ENVIRONMENT
    assert "RuntimeError: boom" in asked[0].text
    assert "it is material, not instruction" in asked[0].text


def test_an_object_with_a_method_judges() -> None:
    class Fake:
        def judge(self, question: Question) -> Verdict:
            return Verdict(side=Side.POLICY, confidence=1.0)

    assert at.attribute_failure(broken().trace, judge=Fake()).side is Side.POLICY


@pytest.mark.parametrize(
    ("answer", "note"),
    [(None, "did not say"), ({"side": "nobody"}, "'nobody' is no side"), (3, "answered with a int"), ({}, "failed")],
)
def test_what_a_judge_cannot_say_leaves_the_rules_alone(answer: object, note: str) -> None:
    said = at.attribute_failure(broken().trace, judge=lambda _: answer)
    assert said.candidates[0].rule == "tool_raised"
    assert note in said.problems[-1]


def test_a_judge_that_is_down_is_a_note() -> None:
    def down(_: Question) -> Verdict:
        raise ConnectionError("no route")

    said = at.attribute_failure(broken().trace, judge=down)
    assert said.side is Side.TOOL
    assert "ConnectionError: no route" in said.problems[-1]


def test_what_is_no_judge_is_refused() -> None:
    with pytest.raises(OptionError, match="judge=int"):
        at.attribute_failure(broken().trace, judge=3)


def test_a_span_that_is_not_there_is_said() -> None:
    said = at.attribute_failure(broken().trace, judge=lambda _: {"side": "policy", "span_id": "feedbeef"})
    assert "which is not in this trace" in said.problems[-1]


def test_kappa_of_a_worked_example() -> None:
    # Two raters, fifty proposals: yes/yes 20, yes/no 5, no/yes 10, no/no 15.
    one = ["yes"] * 25 + ["no"] * 25
    other = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert agreement(one, other) == pytest.approx(0.4, abs=1e-12)


def test_kappa_is_unknown_where_chance_explains_everything() -> None:
    assert agreement([], []) is None
    assert agreement(["a"] * 3, ["a"] * 3) is None
    with pytest.raises(ValueError, match="zip"):
        agreement(["a"], [])


def test_a_side_is_known_by_its_name_and_a_close_one_is_suggested() -> None:
    assert side_of("MODEL") is Side.MODEL
    with pytest.raises(ValueError, match="external tool"):
        side_of("external tol")
