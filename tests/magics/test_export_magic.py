"""``%trace_export``: handlers added, shown, tried and removed, and what a wrong line is told."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from magics.real_kernel import Kernel

from agenttrace_nb import magics
from agenttrace_nb.export import control, registry
from agenttrace_nb.export import settings as kept
from agenttrace_nb.export.handler import Content
from agenttrace_nb.export.process import Outcome
from agenttrace_nb.magics.export_magic import COMMANDS, PUMP_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

TOKEN = "invented-token-for-tests"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a state directory of its own, and start no process."""
    monkeypatch.setenv("AGENTTRACE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(control, "begin", lambda: None)
    return tmp_path / "state"


def said(shell: InteractiveShell, line: str, capsys: pytest.CaptureFixture[str]) -> str:
    shell.run_cell(line).raise_error()
    return capsys.readouterr().out


def refused(shell: InteractiveShell, line: str) -> str:
    with pytest.raises(UsageError) as error:
        shell.run_line_magic("trace_export", line)
    return str(error.value)


def test_a_handler_is_added_with_its_options(shell, tmp_path, capsys) -> None:
    words = f"%trace_export add jsonl --name mine --path '{tmp_path}/my agents.jsonl' --content=full --backlog 2h"
    text = said(shell, words, capsys)
    assert text.startswith("mine: what ends from now on is sent, content full, until %trace_export remove mine")
    (added,) = kept.read().values()
    assert (added.name, added.type, added.content, added.backlog) == ("mine", "jsonl", Content.FULL, 7200.0)
    assert added.options == {"path": f"{tmp_path}/my agents.jsonl"}


def test_a_secret_that_is_not_there_yet_is_said_at_once(shell, capsys) -> None:
    text = said(shell, "%trace_export add splunk-hec --url https://localhost:8088 --token env:NOT_SET_HERE", capsys)
    assert "not yet: token: the environment variable NOT_SET_HERE is not set" in text
    assert kept.read()["splunk-hec"].options["token"] == "env:NOT_SET_HERE"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "say what to do: %trace_export add, list, test, remove, pause, resume or flush."),
        ("lst", "'lst' is no command; use %trace_export .* Did you mean list?"),
        ("add", "say which kind of handler to add, for example %trace_export add jsonl"),
        ("add --path x", "say which kind of handler to add"),
        ("add jsnl --path x", "there is no kind of handler 'jsnl'; .* Did you mean jsonl?"),
        ("add jsonl", "path must be given"),
        ("add jsonl --paht x", "there is no option --paht here; .* Did you mean --path?"),
        ("add jsonl --path", "--path needs a value"),
        ("add jsonl --path --content full", "--path needs a value"),
        ("add jsonl --path x --path y", "--path is given twice"),
        ("add jsonl --path x --content ful", "content='ful' is not allowed; .* Did you mean full?"),
        ("add jsonl --path x --max-age never", "max_age='never' is not allowed"),
        ("add jsonl --path 'x", "a quotation mark is not closed"),
        ("add jsonl --path x --name 'Mine!'", "name='Mine!' is not allowed"),
        ("test", "%trace_export test takes one name, and was given 0"),
        ("test a b", "takes one name, and was given 2"),
        ("test nobody", "there is no handler 'nobody'; none was added yet: %trace_export add"),
        ("list all", "%trace_export list takes nothing more"),
    ],
)
def test_a_wrong_line_is_told_what_is_right(shell, line, words) -> None:
    with pytest.raises(UsageError, match=words):
        shell.run_line_magic("trace_export", line)
    assert kept.read() == {}


@pytest.mark.parametrize(
    "line",
    [
        f"add splunk-hec --url https://localhost:8088 --token {TOKEN}",
        f"add splunk-hec --url https://localhost:8088 {TOKEN}",
        f"add splunk-hec --url https://me:{TOKEN}@localhost:8088 --token env:X",
    ],
)
def test_a_token_itself_is_refused_and_not_repeated(shell, line, state) -> None:
    text = refused(shell, line)
    assert TOKEN not in text
    assert not kept.settings_file().exists()


def test_help_lists_the_options_of_a_kind(shell, capsys) -> None:
    text = said(shell, "%trace_export add splunk-hec --help", capsys)
    made = registry.load("splunk-hec")
    for flag in [*(f"--{name.replace('_', '-')}" for name in made.options), *PUMP_OPTIONS]:
        assert f"  {flag} " in text
    assert "(needed, a reference)" in text


def test_the_question_mark_shows_how_it_is_used(shell, capsys) -> None:
    text = said(shell, "%trace_export?", capsys)
    pages = text + "".join(str(part) for output in shell.display_pub.outputs for part in output.values())
    for command in COMMANDS:
        assert command in pages
    assert "env:NAME" in pages


def test_what_came_back_for_a_marked_item_is_said_in_words(shell, capsys, monkeypatch) -> None:
    answers = [
        Outcome("Sent"),
        Outcome("Misconfigured", "401: the token is not known."),
        Outcome("Retry", "no answer."),
    ]
    monkeypatch.setattr(control, "send_test", lambda _: answers.pop(0))
    assert said(shell, "%trace_export test x", capsys) == "x: the marked item arrived.\n"
    told = "x: nothing arrives until something is changed. 401: the token is not known.\n"
    assert said(shell, "%trace_export test x", capsys) == told
    assert "another try may succeed. no answer." in said(shell, "%trace_export test x", capsys)


def test_pause_resume_and_remove(shell, tmp_path, capsys) -> None:
    said(shell, f"%trace_export add jsonl --path {tmp_path}/x", capsys)
    assert "nothing is sent until %trace_export resume jsonl" in said(shell, "%trace_export pause jsonl", capsys)
    assert kept.read()["jsonl"].paused
    assert said(shell, "%trace_export resume jsonl", capsys) == "jsonl: goes on\n"
    assert said(shell, "%trace_export remove jsonl", capsys) == "jsonl: removed\n"
    assert kept.read() == {}


# --------------------------------------------------------------------------------------------------------------- list


def shown(shell: InteractiveShell) -> dict[str, Any]:
    shell.display_pub.outputs.clear()
    shell.run_cell("%trace_export list").raise_error()
    (output,) = shell.display_pub.outputs
    return output["data"]


def test_without_handlers_the_list_shows_how_to_add_one(shell) -> None:
    assert (
        shown(shell)["text/plain"] == "No handler was added. For example: %trace_export add jsonl --path ~/agents.jsonl"
    )


def test_the_list_tells_how_it_goes_in_text_and_escaped_html(shell, tmp_path, capsys) -> None:
    said(shell, f"%trace_export add jsonl --path '{tmp_path}/<img src=x onerror=alert(1)>'", capsys)
    (settings,) = kept.read().values()
    journals = kept.settings_file().parent
    journal = journals / "20260101T000000-1-abc.journal"
    journal.write_bytes(b"")
    state = {
        "key": settings.key, "position": 5, "waiting": 2, "sent": 1200, "dropped": {"too <b>big</b>.": 3},
        "oldest_ns": time.time_ns() - 125 * 10**9, "success_ns": time.time_ns() - 4000 * 10**9,
        "problem": "no answer from <script>x</script>.", "problem_ns": time.time_ns(), "refused": True,
    }  # fmt: skip
    notes = journal.with_suffix(".export-jsonl.json")
    notes.write_text(json.dumps({"cursor": 1, "state": state}))
    data = shown(shell)
    head, row, *remarks = data["text/plain"].splitlines()
    assert head.split() == [
        "name",
        "target",
        "content",
        "sent",
        "waiting",
        "dropped",
        "oldest",
        "last",
        "sent",
        "state",
    ]
    for word in ("jsonl", "metadata", "1\u202f200", " 2 ", " 3 ", "2 min", "67 min ago", "✕ stopped"):
        assert word in row
    assert [line.strip() for line in remarks] == [
        "no answer from <script>x</script>.",
        "Put that right, then: %trace_export resume jsonl",
        "For other options: %trace_export remove jsonl, then add it with --backlog 2h, so that what waited is sent",
        "3 dropped: too <b>big</b>.",
    ]
    html = data["text/html"]
    assert "<script>" not in html
    assert "<img" not in html
    assert "<b>" not in html
    assert "no answer from &lt;script&gt;" in html


# --------------------------------------------------------------------------------------------------------- completion


def completed(shell: InteractiveShell, text: str) -> list[str]:
    with provisionalcompleter():
        return [text[: c.start] + c.text for c in shell.Completer.completions(text, len(text))]


def test_commands_kinds_names_and_options_are_completed(shell, tmp_path, capsys) -> None:
    line = "%trace_export "
    assert completed(shell, line) == [f"{line}{word}" for word in sorted(COMMANDS)]
    assert completed(shell, f"{line}add js") == [f"{line}add jsonl"]
    assert completed(shell, f"{line}add jsonl --") == [
        f"{line}add jsonl --{name}" for name in ("backlog", "content", "max-age", "name", "path")
    ]
    assert f"{line}add jsonl --path x --path" not in completed(shell, f"{line}add jsonl --path x --")
    assert completed(shell, f"{line}add jsonl --content f") == [f"{line}add jsonl --content full"]
    said(shell, f"%trace_export add jsonl --name mine --path {tmp_path}/x", capsys)
    assert completed(shell, f"{line}remove m") == [f"{line}remove mine"]


def test_unloading_takes_the_magic_away(shell) -> None:
    assert "trace_export" in shell.magics_manager.magics["line"]
    magics.unload(shell)
    assert "trace_export" not in shell.magics_manager.magics["line"]


# ------------------------------------------------------------------------------------------------------ a real kernel


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("export")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


AGENTS = """
import agenttrace_nb as at
from agents import Agent, Runner
from agents.testing import ScriptedModel, assistant_message
agent = lambda: Agent(name="Adder", model=ScriptedModel([[assistant_message("3")]]))
"""


@pytest.mark.kernel
@pytest.mark.timeout(240)
def test_in_a_kernel_what_agents_did_arrives_and_the_list_knows_it_after_a_restart(folder: Path) -> None:
    environment = {"AGENTTRACE_STATE_DIR": str(folder / "state"), "AGENTTRACE_MLFLOW": "off"}
    with Kernel(folder, **environment) as kernel:
        kernel.run("%load_ext agenttrace_nb\n" + AGENTS)
        added = kernel.run("%trace_export add jsonl --path agents.jsonl --content full")
        assert "jsonl: what ends from now on is sent, content full" in added.stdout
        kernel.run(
            "@at.handler('names', signals='spans')\ndef take(item):\n    names.append(item.span.name)\nnames = []"
        )
        answer = kernel.run(
            "%%trace_agents --no-live --arch one\n(await Runner.run(agent(), 'What is 1 + 2?')).final_output"
        )
        assert answer.values == ["'3'"]
        assert kernel.run("%trace_export test jsonl").stdout == "jsonl: the marked item arrived.\n"
        assert kernel.run("%trace_export flush").stdout == "nothing waits\n"
        assert "Adder" in kernel.run("print(names)").stdout
        listed = kernel.run("%trace_export list")
        assert "✓ nothing waits" in listed.shown
        assert listed.displayed[0]["text/html"].startswith('<div class="agtr-static ')
    lines = [json.loads(line) for line in (folder / "agents.jsonl").read_text().splitlines()]
    assert {line["moment"] for line in lines} == {"span", "run", "test"}
    sent = len([line for line in lines if line["moment"] != "test"])
    with Kernel(folder, **environment) as kernel:
        kernel.run("%load_ext agenttrace_nb\nimport agenttrace_nb as at")
        (status,) = kernel.run("[(s.settings.name, s.sent, s.waiting) for s in at.exports()]").values
        assert status == f"[('jsonl', {sent}, 0)]"
        assert kernel.run("%trace_export remove jsonl").stdout == "jsonl: removed\n"
        assert "No handler was added" in kernel.run("%trace_export list").shown
