"""The rewriting of a cell, and what is known of it."""

from __future__ import annotations

import hashlib

import pytest

from agenttrace_nb.magics.cell import BEGIN, has_code, own_code, rewrite


def rewritten(cell: str) -> list[str]:
    return rewrite(cell.splitlines(keepends=True))


def test_the_line_of_the_magic_becomes_one_line() -> None:
    assert rewritten("%%trace_agents --arch x\na = 1\nb\n") == [f"{BEGIN}('--arch x')\n", "a = 1\n", "b\n"]


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "\n",
        "a = 1\n",
        "%%time\n%%trace_agents\na\n",
        "%%trace_agents?\n",
        "%%trace_agents??\n",
        "%%trace_agentses --arch x\na\n",
        "%trace_agents on\n",
        "a = 1\n%%trace_agents\n",
        "s = '''\n%%trace_agents\n'''\n",
    ],
)
def test_other_cells_stay_what_they_are(cell: str) -> None:
    assert rewritten(cell) == cell.splitlines(keepends=True)


def test_rewriting_twice_is_rewriting_once() -> None:
    once = rewritten("%%trace_agents\n%%time\na = 1\n")
    assert rewrite(once) == once


def test_blank_lines_and_comments_may_stand_before_the_magic() -> None:
    assert rewritten("# a note\n\n%%trace_agents\na\n") == ["# a note\n", "\n", f"{BEGIN}('')\n", "a\n"]


@pytest.mark.parametrize("between", ["", "\n", "# a note\n"])
def test_a_cell_magic_below_is_rewritten_as_ipython_would(between: str) -> None:
    lines = rewritten(f"%%trace_agents\n{between}%%time\na = 1\n")
    assert lines[-1] == "get_ipython().run_cell_magic('time', '', 'a = 1\\n')\n"


@pytest.mark.parametrize(
    "option", ["--case it's", '--role "Flight agent=planner"', r"--tag path=C:\new", "--tag a={x}$y"]
)
def test_options_reach_the_call_as_they_were_written(option: str) -> None:
    call, _ = rewritten(f"%%trace_agents {option}\na\n")
    assert eval(call.removeprefix(BEGIN)) == option  # noqa: S307 - a literal that the rewriting made


def test_line_ends_of_windows_are_no_part_of_the_options() -> None:
    assert rewritten("%%trace_agents --arch x\r\na = 1\r\n") == [f"{BEGIN}('--arch x')\n", "a = 1\r\n"]


def test_the_code_of_a_cell_is_the_same_with_and_without_the_magic_and_on_every_system() -> None:
    cells = ["a = 1\nb", "%%trace_agents --arch x\na = 1\nb", "\n%%trace_agents\r\na = 1\r\nb\r\n"]
    assert {hashlib.sha256(own_code(cell).encode()).hexdigest() for cell in cells} == {
        hashlib.sha256(b"a = 1\nb").hexdigest()
    }


@pytest.mark.parametrize(
    ("cell", "code"), [("%%trace_agents\n\n# note\n", False), ("%%trace_agents\na", True), ("", False)]
)
def test_comments_are_no_code(cell: str, code: bool) -> None:
    assert has_code(cell) is code
