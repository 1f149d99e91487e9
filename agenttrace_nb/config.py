"""Every option in one place: what it means, what it may be, and where its value comes from.

The first place that names an option decides::

    at.trace(arch="x")  or  %%trace_agents --arch x      an argument
    %config AgentTrace.arch = "x"                        this kernel, or c.AgentTrace.arch in an IPython profile
    AGENTTRACE_ARCH=x                                    the environment
    arch = "x"                                           the file that `config_file` names
    the default

Only redaction rules add up: a rule given nearer never switches off one that was set further away.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

Live = Literal["auto"] | bool
Rule = str | re.Pattern[str] | Callable[[str], str]

_MAX_NAME_CHARS = 250  # MLflow's limit for the name of a tag
_TAG_NAME = re.compile(r"[\w./ :-]+")
_OWN_TAGS = "agenttrace."
_TAGS_WITH_AN_OPTION = frozenset({"arch", "case", "trial"})
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})


class OptionError(ValueError):
    """An option is unknown or its value is not allowed; the message says what is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellInfo:
    """The notebook cell that a run belongs to. What the front end does not tell is ``None``.

    Attributes
    ----------
    notebook
        The notebook's path.
    cell_id
        The cell's id in the notebook file.
    execution_count
        The number in ``In [..]``.
    source_hash
        SHA-256 of the cell's code without the line of the magic, in hex.
    """

    notebook: str | None = None
    cell_id: str | None = None
    execution_count: int | None = None
    source_hash: str | None = None


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """Return a question that offers the closest allowed word, or an empty text if none is close.

    Examples
    --------
    >>> did_you_mean("--arhc", ["--arch", "--case"])
    ' Did you mean --arch?'
    """
    by_case = {word.lower(): word for word in allowed}
    close = get_close_matches(given.lower(), by_case, n=1)
    return f" Did you mean {by_case[close[0]]}?" if close else ""


# ------------------------------------------------------------------------------------------------ what a value may be
# A check returns the value in its proper type, or raises a ValueError that says what is allowed.


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        msg = "a text that is not empty."
        raise ValueError(msg)
    return value.strip()


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in _YES | _NO:
        msg = "on or off." + did_you_mean(word, ("on", "off", "true", "false", "yes", "no"))
        raise ValueError(msg)
    return word in _YES


def _live(value: Any) -> Live:
    if isinstance(value, str) and value.strip().lower() == "auto":
        return "auto"
    try:
        return _switch(value)
    except ValueError:
        msg = "auto, on or off." + did_you_mean(str(value), ("auto", "on", "off"))
        raise ValueError(msg) from None


def _days(value: Any) -> float:
    try:
        days = float(value)
    except (TypeError, ValueError):
        days = -1.0
    if isinstance(value, bool) or not 0 <= days < float("inf"):
        msg = "a number of days, 0 or more."
        raise ValueError(msg)
    return days


def _folder(value: Any) -> Path:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        msg = "the path of a folder."
        raise ValueError(msg)
    return Path(value).expanduser().absolute()


def _rules(value: Any) -> tuple[Rule, ...]:
    if isinstance(value, str):  # from the environment: one expression on each line
        value = [line for line in value.splitlines() if line.strip()]
    elif isinstance(value, re.Pattern) or callable(value):
        value = [value]
    try:
        rules = tuple(value)
    except TypeError:
        msg = "a regular expression, or a list of them."
        raise ValueError(msg) from None
    for rule in rules:
        problem = None if callable(rule) else _problem_of(rule)
        if problem:
            msg = f"regular expressions, and {rule!r} is none ({problem})."
            raise ValueError(msg)
    return rules


def _problem_of(rule: Any) -> str | None:
    try:
        return None if isinstance(re.compile(rule).pattern, str) else "it is for bytes"
    except (re.error, TypeError) as error:
        return str(error)


# -------------------------------------------------------------------------------------------------------- the options


def _is(check: Callable[[Any], Any], about: str) -> dict[str, Any]:
    return {"check": check, "about": about}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The value of every option at one moment; made by `current`."""

    arch: str | None = field(default=None, metadata=_is(_text, "Architecture tag that runs are compared by."))
    experiment: str | None = field(
        default=None, metadata=_is(_text, "MLflow experiment; else the active one, else the notebook's name.")
    )
    tracking_uri: str | None = field(
        default=None,
        metadata=_is(_text, "MLflow tracking URI; else MLflow's own setting, else SQLite on this machine."),
    )
    live: Live = field(
        default="auto", metadata=_is(_live, "Live view below the cell: auto (in a notebook), on or off.")
    )
    message_runs: bool = field(
        default=True, metadata=_is(_switch, "A nested MLflow run for each agent message: on or off.")
    )
    redact: tuple[Rule, ...] = field(
        default=(), metadata=_is(_rules, "Regular expressions to take out, on top of the built-in rules.")
    )
    deterministic: bool = field(
        default=False, metadata=_is(_switch, "One static view with a fixed clock, the same bytes each time: on or off.")
    )
    mlflow: bool = field(
        default=True, metadata=_is(_switch, "Write to MLflow; off keeps the runs in the journal only.")
    )
    state_dir: Path | None = field(
        default=None, metadata=_is(_folder, "Folder for the journals; else the platform's folder for state.")
    )
    journal_keep_days: float = field(default=14.0, metadata=_is(_days, "Days that a delivered journal is kept."))


ABOUT: Mapping[str, str] = {f.name: f.metadata["about"] for f in fields(Settings)}
"""What each option means, by name."""

_CHECKS: Mapping[str, Callable[[Any], Any]] = {f.name: f.metadata["check"] for f in fields(Settings)}
_ADDING_UP = frozenset({"redact"})
_CONFIG_MAGIC = "%config AgentTrace"
_set_here: dict[str, Any] = {}


def check(name: str, value: Any, source: str = "argument") -> Any:
    """Return an option's value in its proper type.

    Raises
    ------
    OptionError
        If there is no such option, or the value is not allowed for it.

    Examples
    --------
    >>> check("live", "off")
    False
    """
    if name not in _CHECKS:
        msg = f"there is no option {name!r} ({source}); there are {', '.join(_CHECKS)}."
        raise OptionError(msg + did_you_mean(name, _CHECKS))
    try:
        return _CHECKS[name](value)
    except ValueError as error:
        msg = f"{name}={value!r} ({source}) is not allowed; it must be {error}"
        raise OptionError(msg) from None


def set_option(name: str, value: Any) -> None:
    """Set an option for this process, as ``%config AgentTrace`` does; ``None`` takes that back.

    Raises
    ------
    OptionError
        If there is no such option, or the value is not allowed for it.
    """
    if value is None and name in _CHECKS:
        _set_here.pop(name, None)
    else:
        _set_here[name] = check(name, value, _CONFIG_MAGIC)


def forget_options() -> None:
    """Take back everything that `set_option` has set."""
    _set_here.clear()


def current(**given: Any) -> Settings:
    """Return the value of every option.

    Parameters
    ----------
    **given
        Arguments by name of option; ``None`` means not given.

    Raises
    ------
    OptionError
        If an argument, a variable of the environment or a line of the file is not allowed.

    Examples
    --------
    >>> current(arch="planner-executor").arch
    'planner-executor'
    """
    return Settings(**{name: value for name, (value, _) in _effective(given).items()})


def sources() -> dict[str, tuple[Any, str]]:
    """Return for each option that is set anywhere its value and who set it.

    Raises
    ------
    OptionError
        As `current` does.
    """
    return _effective({})


def config_file() -> Path:
    """Return the path of the file with options, whether it exists or not; ``AGENTTRACE_CONFIG`` names another."""
    chosen = os.environ.get("AGENTTRACE_CONFIG")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_config_path

    return user_config_path("agenttrace_nb", appauthor=False) / "agenttrace_nb.toml"


def _effective(given: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    for name, value, source in _everything_set(given):
        checked = check(name, value, source)
        if name not in found:
            found[name] = (checked, source)
        elif name in _ADDING_UP:
            nearer, nearest = found[name]
            found[name] = ((*nearer, *checked), f"{nearest}, {source}")
    return found


def _everything_set(given: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Name, value and source of each option that is set, the decisive ones first."""
    yield from ((name, value, "argument") for name, value in given.items() if value is not None)
    yield from ((name, value, _CONFIG_MAGIC) for name, value in _set_here.items())
    for name in _CHECKS:
        variable = f"AGENTTRACE_{name.upper()}"
        if value := os.environ.get(variable):
            yield name, value, f"environment variable {variable}"
    path = config_file()
    try:
        status = path.stat()
    except OSError:
        return
    lines = _read(path, status.st_mtime_ns, status.st_size)
    yield from ((name, value, str(path)) for name, value in lines.items())


@lru_cache(maxsize=1)
def _read(path: Path, _mtime_ns: int, _size: int) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read: {error}. Mend the file, or remove it to use the defaults."
        raise OptionError(msg) from None


# ------------------------------------------------------------------------------------- values of a single run


def check_text(what: str, value: Any) -> str:
    """Return a short text that names something, such as a case; a number is written out.

    Raises
    ------
    OptionError
        If it is empty or no text.

    Examples
    --------
    >>> check_text("trial", 2)
    '2'
    """
    is_number = isinstance(value, int) and not isinstance(value, bool)
    try:
        return str(value) if is_number else _text(value)
    except ValueError as error:
        msg = f"{what}={value!r} is not allowed; it must be {error}"
        raise OptionError(msg) from None


def check_roles(roles: Any) -> dict[str, str]:
    """Return agents' roles by agent name, checked.

    Raises
    ------
    OptionError
        If a name or a role is empty or no text.

    Examples
    --------
    >>> check_roles({"Planner": "planner"})
    {'Planner': 'planner'}
    """
    if not isinstance(roles, Mapping):
        msg = f"roles={roles!r} is not allowed; it must be a mapping, for example {{'Planner': 'planner'}}"
        raise OptionError(msg)
    for name, role in roles.items():
        for what, value in (("the agent's name", name), ("the role", role)):
            if not isinstance(value, str) or not value.strip():
                msg = f"role {name!r}={role!r} is not allowed: {what} must be a text that is not empty"
                raise OptionError(msg)
    return {name.strip(): role.strip() for name, role in roles.items()}


def check_tags(tags: Any) -> dict[str, str]:
    """Return a run's tags as text, checked.

    Raises
    ------
    OptionError
        If a name is not one that MLflow takes, or is one that this package sets itself.

    Examples
    --------
    >>> check_tags({"team": "rebooking", "attempt": 2})
    {'team': 'rebooking', 'attempt': '2'}
    """
    if not isinstance(tags, Mapping):
        msg = f"tags={tags!r} is not allowed; it must be a mapping, for example {{'team': 'rebooking'}}"
        raise OptionError(msg)
    for name in tags:
        if not isinstance(name, str) or not _TAG_NAME.fullmatch(name) or len(name) > _MAX_NAME_CHARS:
            msg = (
                f"tag {name!r} is not allowed: a name has 1 to {_MAX_NAME_CHARS} letters, digits, spaces "
                "or any of _ - . : /"
            )
            raise OptionError(msg)
        if name in _TAGS_WITH_AN_OPTION:
            msg = f"tag {name!r} is not allowed: {name} is an option of its own"
            raise OptionError(msg)
        if name.startswith(_OWN_TAGS):
            msg = f"tag {name!r} is not allowed: names that begin with {_OWN_TAGS} are kept for what is recorded"
            raise OptionError(msg)
    return {name: str(value) for name, value in tags.items()}
