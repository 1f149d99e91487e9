"""The options of ``%%trace_agents``: what they are, how a line of them is read, and what a wrong one is told."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments

from agenttrace_nb.config import OptionError, check, check_roles, check_tags, check_text, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from IPython.core.magic_arguments import MagicArgumentParser

COMMANDS = ("on", "off", "status", "last")
"""What ``%trace_agents`` is told to do."""


class _Option(NamedTuple):
    """An option that takes a value.

    ``check`` gets the name of the option and its value, or for an option that repeats its pairs.
    """

    flag: str
    argument: str
    value: str
    example: str
    about: str
    check: Callable[[str, Any], Any]
    repeats: bool = False


def _known(flag: str, value: str) -> Any:
    return check(flag[2:], value, flag)


def _roles(_flag: str, pairs: dict[str, str]) -> dict[str, str]:
    return check_roles(pairs)


def _tags(_flag: str, pairs: dict[str, str]) -> dict[str, str]:
    return check_tags(pairs)


_WITH_VALUE = (
    _Option("--arch", "arch", "A", "planner-executor", "architecture tag that runs are compared by", _known),
    _Option("--case", "case", "C", "task-17", "id of the task; makes comparisons paired", check_text),
    _Option("--trial", "trial", "N", "2", "repetition of this case", check_text),
    _Option(
        "--experiment",
        "experiment",
        "E",
        "rebooking",
        "MLflow experiment; else the active one, else the notebook's name",
        _known,
    ),
    _Option(
        "--role", "roles", "NAME=ROLE", "Planner=planner", "what an agent is for; may be repeated", _roles, repeats=True
    ),
    _Option("--tag", "tags", "K=V", "team=rebooking", "a tag of the MLflow run; may be repeated", _tags, repeats=True),
    _Option("--session", "session", "S", "customer-42", "conversation that this cell belongs to", check_text),
)
_SWITCHES = {
    "--no-live": ("live", False, "show nothing below the cell"),
    "--no-message-runs": ("message_runs", False, "no nested MLflow run for each agent message"),
    "--deterministic": ("deterministic", True, "one static view with a fixed clock, the same bytes each time"),
}
_BY_FLAG = {option.flag: option for option in _WITH_VALUE}
FLAGS = (*_BY_FLAG, *_SWITCHES)
REPEATABLE = frozenset(option.flag for option in _WITH_VALUE if option.repeats)


def takes_options(name: str) -> Callable[[Any], Any]:
    """Give a magic the options: for its help, and for `parse`."""

    def decorate(magic: Any) -> Any:
        for flag, (_, _, about) in reversed(_SWITCHES.items()):
            magic = argument(flag, action="store_true", help=about)(magic)
        for option in reversed(_WITH_VALUE):
            action = "append" if option.repeats else "store"
            magic = argument(option.flag, metavar=option.value, action=action, help=option.about)(magic)
        magic = magic_arguments(name)(magic)
        magic.parser.allow_abbrev = False
        return magic

    return decorate


def parse(magic: Any, line: str) -> dict[str, Any]:
    """Read a line of options into arguments of `agenttrace_nb.trace`; what is not given is left out.

    Raises
    ------
    UsageError
        If the line is wrong; the message says what was given and what is allowed.
    """
    given, rest = _split(magic.parser, line)
    found: dict[str, Any] = {}
    for option in _WITH_VALUE:
        value = given[option.flag[2:]]
        if value is not None:
            try:
                found[option.argument] = option.check(option.flag, _pairs(option, value) if option.repeats else value)
            except OptionError as error:
                raise UsageError(str(error)) from None
    if rest:
        raise UsageError(_about_word(rest[0]))
    found |= {name: value for flag, (name, value, _) in _SWITCHES.items() if given[flag[2:].replace("-", "_")]}
    return found


def _split(parser: MagicArgumentParser, line: str) -> tuple[dict[str, Any], list[str]]:
    """Return the options' values by name, and the words that belong to none."""
    try:
        words = shlex.split(line)
    except ValueError:
        msg = f"a quotation mark is not closed: {line}"
        raise UsageError(msg) from None
    try:
        given, rest = parser.parse_known_args(words)
    except UsageError as error:
        raise UsageError(_in_plain_words(str(error))) from None
    return vars(given), rest


def _in_plain_words(message: str) -> str:
    """Say what argparse says so that it helps: with an example."""
    match = re.match(r"argument (--[\w-]+): (expected one|ignored explicit) argument", message)
    if match is None:
        return message
    if option := _BY_FLAG.get(match[1]):
        return f"{match[1]} needs a value, for example {match[1]} {option.example}"
    return f"{match[1]} takes no value"


def _about_word(word: str) -> str:
    if word.startswith("#"):
        return f"a comment cannot stand on the line of the magic: {word} …"
    if word.startswith("-"):
        flag = word.partition("=")[0]
        return f"there is no option {flag}; there are {', '.join(FLAGS)}.{did_you_mean(flag, FLAGS)}"
    hint = did_you_mean(f"--{word}", FLAGS)
    return f'{word!r} belongs to no option; a value with spaces needs quotes: --case "task 17".{hint}'


def _pairs(option: _Option, words: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.strip() or not value.strip():
            msg = (
                f"{option.flag} {word!r} is not {option.value}, for example {option.flag} {option.example}. "
                f'Spaces need quotes: {option.flag} "my {option.example}"'
            )
            raise UsageError(msg)
        if pairs.setdefault(name, value) != value:
            msg = f"{option.flag} gives {name!r} twice: {pairs[name]!r} and {value!r}"
            raise UsageError(msg)
    return pairs
