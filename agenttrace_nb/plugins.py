"""Kinds of things that come with this package or with installed ones. Only those in use are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from agenttrace_nb.config import OptionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of one thing, by name: ours, and those that installed packages name in a group of entry points.

    Attributes
    ----------
    noun
        What one is, for messages.
    group
        The group of entry points.
    room
        The package that ours are in.
    built_in
        Ours: module and class in that package, with a colon between.
    """

    noun: str
    group: str
    room: str
    built_in: Mapping[str, str]

    def names(self) -> list[str]:
        """Return the names of all, without loading any."""
        installed = sorted(entry_points(group=self.group).names)
        return [*self.built_in, *(name for name in installed if name not in self.built_in)]

    def load(self, name: str) -> tuple[Any, str]:
        """Return what a name stands for, and where it comes from in words.

        Raises
        ------
        OptionError
            If there is none of that name, or its package is broken; the message names the package.
        """
        if name in self.built_in:
            module, _, attribute = self.built_in[name].partition(":")
            return getattr(import_module(f"{self.room}.{module}"), attribute), f"the {self.noun} {name!r}"
        found = entry_points(group=self.group, name=name)
        if not found:
            known = self.names()
            msg = f"there is no kind of {self.noun} {name!r}; there are {', '.join(known)}.{did_you_mean(name, known)}"
            raise OptionError(msg)
        (entry, *_) = found
        origin = f"the {self.noun} {name!r} of the package {entry.dist.name if entry.dist else entry.value}"
        try:
            return entry.load(), origin
        except Exception as error:
            raise OptionError(f"{origin} cannot be loaded: {type(error).__name__}: {error}") from error


def check_contract(made: Any, origin: str, *, needed: Iterable[str], version: int, contract: str) -> None:
    """Refuse what does not keep to a contract.

    Parameters
    ----------
    made, origin
        What it is, and where it comes from in words.
    needed
        The names that it must have.
    version
        The version of the contract that it must be written for.
    contract
        Where the contract is described.

    Raises
    ------
    OptionError
        If a name is missing, or it was written for another version.
    """
    if missing := [name for name in needed if not hasattr(made, name)]:
        raise OptionError(f"{origin} cannot be used: it has no {', '.join(missing)} (see {contract})")
    given = getattr(made, "api_version", None)
    if given != version:
        msg = f"{origin} was written for version {given} of the contract, this is version {version}; update it"
        raise OptionError(msg)


def check_names(
    given: Collection[str], options: Mapping[str, str], required: Collection[str], *, of: str, more: Iterable[str] = ()
) -> None:
    """Refuse names of options that are unknown, and missing ones.

    Parameters
    ----------
    given
        The names that were given.
    options
        Those that there are, with one line of help each.
    required
        Those that must be given.
    of
        What they are options of, for messages.
    more
        Names that may be given elsewhere, to be named too.

    Raises
    ------
    OptionError
        If one is unknown or missing.
    """
    for name in given:
        if name not in options:
            known = [*options, *more]
            msg = f"there is no option {name!r} for {of}; there are {', '.join(known)}.{did_you_mean(name, known)}"
            raise OptionError(msg)
    if missing := [name for name in options if name in required and name not in given]:
        raise OptionError(f"{missing[0]} must be given: {options[missing[0]]}")
