"""Options on the line of the magic: how they are read, and what a wrong one is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError

from agenttrace_nb.magics.extension import AgentTraceMagics
from agenttrace_nb.magics.options import COMMANDS, FLAGS, parse

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from magics.conftest import StandIn


def read(line: str) -> dict[str, Any]:
    return parse(AgentTraceMagics.trace_cell, line)


def test_no_options_give_no_arguments() -> None:
    assert read("") == {}


def test_every_option_becomes_its_argument() -> None:
    line = (
        "--arch planner-executor --case task-17 --trial 2 --experiment rebooking --role Planner=planner "
        "--role Executor=executor --tag team=blue --tag url=a=b --session s-1 "
        "--no-live --no-message-runs --deterministic"
    )
    assert read(line) == {
        "arch": "planner-executor",
        "case": "task-17",
        "trial": "2",
        "experiment": "rebooking",
        "roles": {"Planner": "planner", "Executor": "executor"},
        "tags": {"team": "blue", "url": "a=b"},
        "session": "s-1",
        "live": False,
        "message_runs": False,
        "deterministic": True,
    }


@pytest.mark.parametrize("word", ['"Flight agent=planner"', "'Flight agent=planner'", '"Flight agent"=planner'])
def test_names_with_spaces_stand_in_quotes(word: str) -> None:
    assert read(f"--role {word}") == {"roles": {"Flight agent": "planner"}}


def test_a_value_may_follow_an_equals_sign() -> None:
    assert read("--arch=x --case=-1") == {"arch": "x", "case": "-1"}


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("--arhc x", ["there is no option --arhc", "--case", "Did you mean --arch?"]),
        ("--Arch=x", ["there is no option --Arch", "Did you mean --arch?"]),
        ("--exp x", ["there is no option --exp;"]),
        ("--wild", ["there is no option --wild;", *FLAGS]),
        ("--arch", ["--arch needs a value, for example --arch planner-executor"]),
        ("--arch --case x", ["--arch needs a value"]),
        ("--no-live=1", ["--no-live takes no value"]),
        ('--arch ""', ["--arch", "a text that is not empty"]),
        ("--case ' '", ["--case=' '", "a text that is not empty"]),
        ("--case task 17", ["'17' belongs to no option", '--case "task 17"']),
        ("arch x", ["'arch' belongs to no option", "Did you mean --arch?"]),
        ("--arch x # my note", ["a comment cannot stand on the line of the magic"]),
        ('--arch "x', ["a quotation mark is not closed"]),
        ("--role Planner", ["--role 'Planner' is not NAME=ROLE", "--role Planner=planner"]),
        ("--role =planner", ["--role '=planner' is not NAME=ROLE"]),
        ("--role Planner=", ["--role 'Planner=' is not NAME=ROLE"]),
        ("--role Flight agent=planner", ["--role 'Flight' is not NAME=ROLE", "Spaces need quotes"]),
        ("--role A=x --role A=y", ["--role gives 'A' twice: 'x' and 'y'"]),
        ("--tag team", ["--tag 'team' is not K=V", "--tag team=rebooking"]),
        ("--tag a,b=1", ["tag 'a,b' is not allowed", "letters, digits"]),
        ("--tag agenttrace.key=1", ["agenttrace."]),
    ],
)
def test_a_wrong_option_is_told_what_was_given_and_what_is_allowed(line: str, parts: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        read(line)
    for part in parts:
        assert part in str(caught.value)


def test_a_wrong_option_is_told_and_the_cell_runs_recorded_without_options(
    shell: InteractiveShell, engine: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    result = shell.run_cell("%%trace_agents --arhc x --case y\nran = True")
    assert result.success
    assert shell.user_ns["ran"] is True
    assert set(engine.run.options) == {"cell"}
    captured = capsys.readouterr()
    assert "there is no option --arhc" in captured.err
    assert "recorded without the options of its line" in captured.err
    assert "Traceback" not in captured.out + captured.err


def test_variables_are_not_put_into_the_options(shell: InteractiveShell, engine: StandIn) -> None:
    shell.run_cell("x = 1").raise_error()
    shell.run_cell("%%trace_agents --tag q={x} --case $x\npass").raise_error()
    assert engine.run.options["tags"] == {"q": "{x}"}
    assert engine.run.options["case"] == "$x"


def completed(shell: InteractiveShell, text: str) -> list[str]:
    with provisionalcompleter():
        return [text[: c.start] + c.text for c in shell.Completer.completions(text, len(text))]


def test_a_started_option_is_completed_and_nothing_else_is_offered(shell: InteractiveShell) -> None:
    assert completed(shell, "%%trace_agents --ex") == ["%%trace_agents --experiment"]
    assert completed(shell, "%%trace_agents --arch x --no-") == [
        "%%trace_agents --arch x --no-live",
        "%%trace_agents --arch x --no-message-runs",
    ]


def test_two_dashes_offer_every_option(shell: InteractiveShell) -> None:
    assert completed(shell, "%%trace_agents --") == [f"%%trace_agents {flag}" for flag in sorted(FLAGS)]


def test_options_that_are_given_are_not_offered_again(shell: InteractiveShell) -> None:
    offered = completed(shell, "%%trace_agents --arch=x --role A=b --")
    assert {line.rpartition(" ")[2] for line in offered} == {*FLAGS} - {"--arch"}


def test_the_commands_are_completed(shell: InteractiveShell) -> None:
    assert completed(shell, "%trace_agents st") == ["%trace_agents status"]
    assert completed(shell, "%trace_agents ") == [f"%trace_agents {word}" for word in sorted(COMMANDS)]
    assert completed(shell, "%trace_agents on --ca") == ["%trace_agents on --case"]


def test_python_is_completed_as_before(shell: InteractiveShell) -> None:
    shell.user_ns["trace_agents_here"] = 1
    assert completed(shell, "trace_agents_h") == ["trace_agents_here"]


def test_the_name_of_the_magic_is_completed(shell: InteractiveShell) -> None:
    assert "%%trace_agents" in completed(shell, "%%trace_a")


@pytest.mark.parametrize(
    ("asked", "parts"),
    [
        ("%%trace_agents?", ["%%trace_agents [--arch A]", "what an agent is for", "rebook"]),
        ("%trace_agents?", ["on | off | status | last", "Trace every following cell"]),
    ],
)
def test_the_help_shows_every_option(
    shell: InteractiveShell, asked: str, parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shell.set_hook(
        "show_in_pager", lambda _, data, start, lines: print(data["text/plain"] if isinstance(data, dict) else data)
    )
    shell.run_cell(asked).raise_error()
    page = capsys.readouterr().out
    for part in [*parts, *FLAGS]:
        assert part.lower() in page.lower()
