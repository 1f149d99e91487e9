"""Options: which place decides, what is allowed, and what the messages say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agenttrace_nb import config
from agenttrace_nb.config import OptionError, check, check_roles, check_tags, current, set_option, sources

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in config.ABOUT:
        monkeypatch.delenv(f"AGENTTRACE_{name.upper()}", raising=False)
    monkeypatch.setenv("AGENTTRACE_CONFIG", str(tmp_path / "options.toml"))
    config.forget_options()
    yield
    config.forget_options()


@pytest.fixture
def option_file(tmp_path: Path) -> Path:
    return tmp_path / "options.toml"


def test_the_nearest_place_that_names_an_option_decides(option_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert current().arch is None
    option_file.write_text('arch = "file"\n')
    assert current().arch == "file"
    monkeypatch.setenv("AGENTTRACE_ARCH", "environment")
    assert current().arch == "environment"
    set_option("arch", "kernel")
    assert current().arch == "kernel"
    assert current(arch="argument").arch == "argument"


def test_none_means_not_given() -> None:
    set_option("arch", "kernel")
    assert current(arch=None).arch == "kernel"
    set_option("arch", None)
    assert current().arch is None


def test_false_and_zero_are_given() -> None:
    set_option("message_runs", value=True)
    assert current(message_runs=False).message_runs is False
    assert current(journal_keep_days=0).journal_keep_days == 0


def test_the_file_is_read_again_when_it_changes(option_file: Path) -> None:
    option_file.write_text('experiment = "first"\n')
    assert current().experiment == "first"
    option_file.write_text('experiment = "the second"\n')
    assert current().experiment == "the second"


def test_redaction_rules_of_all_places_apply(option_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    option_file.write_text("redact = ['from-file']\n")
    monkeypatch.setenv("AGENTTRACE_REDACT", "from-env\nalso,this")
    set_option("redact", ["from-kernel"])
    own = re.compile("argument")
    assert current(redact=own).redact == (own, "from-kernel", "from-env", "also,this", "from-file")


def test_a_function_is_a_redaction_rule() -> None:
    assert current(redact=str.upper).redact == (str.upper,)


def test_sources_name_who_set_what(option_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    option_file.write_text("live = false\n")
    monkeypatch.setenv("AGENTTRACE_MLFLOW", "off")
    set_option("arch", "x")
    assert sources() == {
        "arch": ("x", "%config AgentTrace"),
        "mlflow": (False, "environment variable AGENTTRACE_MLFLOW"),
        "live": (False, str(option_file)),
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [("on", True), ("1", True), ("True", True), (" yes ", True), ("off", False), ("0", False), ("No", False)],
)
def test_switches_are_read_from_text(text: str, value: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTTRACE_MESSAGE_RUNS", text)
    assert current().message_runs is value


def test_an_empty_variable_of_the_environment_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTTRACE_ARCH", "")
    assert current().arch is None


def test_paths_are_made_absolute() -> None:
    assert current(state_dir="~/x").state_dir == Path.home() / "x"


@pytest.mark.parametrize(
    ("name", "value", "parts"),
    [
        ("live", "atuo", ["live='atuo'", "auto, on or off", "Did you mean auto?"]),
        ("message_runs", "fasle", ["on or off", "Did you mean false?"]),
        ("deterministic", None, ["deterministic=None", "on or off"]),
        ("arch", "  ", ["arch='  '", "a text that is not empty"]),
        ("arch", 3, ["arch=3", "a text that is not empty"]),
        ("journal_keep_days", -1, ["a number of days, 0 or more"]),
        ("journal_keep_days", "soon", ["'soon'", "a number of days"]),
        ("journal_keep_days", True, ["a number of days"]),
        ("journal_keep_days", float("nan"), ["a number of days"]),
        ("state_dir", 3, ["the path of a folder"]),
        ("redact", ["fine", "("], ["regular expressions, and '(' is none", "unterminated"]),
        ("redact", [re.compile(b"x")], ["it is for bytes"]),
        ("redact", 5, ["a regular expression, or a list of them"]),
        ("arhc", "x", ["no option 'arhc'", "arch, experiment", "Did you mean arch?"]),
    ],
)
def test_a_value_that_is_not_allowed_says_what_was_given_and_what_is(
    name: str, value: object, parts: list[str]
) -> None:
    with pytest.raises(OptionError) as caught:
        check(name, value)
    for part in parts:
        assert part in str(caught.value)


def test_a_bad_value_names_the_variable_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTTRACE_LIVE", "sometimes")
    with pytest.raises(OptionError, match="environment variable AGENTTRACE_LIVE"):
        current()


def test_a_bad_value_is_reported_also_where_a_nearer_place_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTTRACE_LIVE", "sometimes")
    with pytest.raises(OptionError, match="AGENTTRACE_LIVE"):
        current(live="on")


def test_an_unknown_line_of_the_file_names_file_and_close_match(option_file: Path) -> None:
    option_file.write_text('experimnet = "x"\n')
    with pytest.raises(OptionError, match=r"(?s)options\.toml.*Did you mean experiment\?"):
        current()


def test_a_file_that_is_not_toml_says_where_and_what_to_do(option_file: Path) -> None:
    option_file.write_text('arch = "x"\nlive off\n')
    with pytest.raises(OptionError, match=r"(?s)options\.toml cannot be read.*line 2.*remove it"):
        current()


def test_a_refused_value_leaves_the_old_one() -> None:
    set_option("live", "off")
    with pytest.raises(OptionError):
        set_option("live", "sometimes")
    assert current().live is False


def test_without_a_choice_the_file_is_in_the_users_config_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    from platformdirs import user_config_path

    monkeypatch.delenv("AGENTTRACE_CONFIG")
    assert config.config_file() == user_config_path("agenttrace_nb", appauthor=False) / "agenttrace_nb.toml"


def test_every_option_says_what_it_means() -> None:
    assert all(about.endswith(".") for about in config.ABOUT.values())
    assert set(config.ABOUT) == {*config.Settings.__slots__}


def test_roles_are_names_and_words() -> None:
    assert check_roles({" Planner ": "planner"}) == {"Planner": "planner"}
    for bad in ({"": "planner"}, {"Planner": " "}, {"Planner": 3}, {1: "planner"}):
        with pytest.raises(OptionError, match="must be a text"):
            check_roles(bad)
    with pytest.raises(OptionError, match="mapping"):
        check_roles("Planner=planner")


def test_tags_are_text_under_names_that_mlflow_takes() -> None:
    assert check_tags({"attempt": 2, "a.b/c": "x"}) == {"attempt": "2", "a.b/c": "x"}
    for bad in ("", "a,b", "näm;e", "x" * 251):
        with pytest.raises(OptionError, match="not allowed"):
            check_tags({bad: "x"})
    with pytest.raises(OptionError, match=r"agenttrace\."):
        check_tags({"agenttrace.key": "x"})
    with pytest.raises(OptionError, match="arch is an option of its own"):
        check_tags({"arch": "x"})
    with pytest.raises(OptionError, match="mapping"):
        check_tags(["a"])


def test_options_need_neither_ipython_nor_traitlets() -> None:
    code = (
        "import sys, agenttrace_nb.config as c; c.current(); "
        "sys.exit(bool({'IPython', 'traitlets', 'mlflow', 'agents'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
