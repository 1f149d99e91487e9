"""``%trace_export``: adding, listing, testing and removing the handlers that send on what is recorded."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from agenttrace_nb.config import OptionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from agenttrace_nb.views.exports import Exports

NAME = "trace_export"
PUMP_OPTIONS = {
    "--name": "what to call it; by default as its kind",
    "--content": "how much leaves this machine: off, metadata (default) or full",
    "--backlog": "what it gets of that which was recorded before: new (nothing, default), all, or a time such as 2h",
    "--max-age": "how long something may wait for the target before it is dropped and counted (default 7d)",
}
"""Options that every handler has."""

_WITH_A_NAME = ("test", "remove", "pause", "resume")
_EXAMPLE = "%trace_export add jsonl --path ~/agents.jsonl"


@magics_class
class ExportMagics(Magics):
    """The magic of one shell."""

    shell: InteractiveShell

    @no_var_expand
    @line_magic(NAME)  # type: ignore[arg-type]
    def trace_export(self, line: str) -> None:
        """Send what is recorded to Grafana, Datadog, Splunk, Prometheus, a file or a plugin.

        add KIND [--name NAME] [--content off|metadata|full] [--backlog new|all|2h] [--max-age 7d] [--OPTION VALUE]...
            Send to a target from now on, in this kernel and all later ones, until it is removed. Kinds: otlp,
            prometheus, pushgateway, splunk-hec, datadog-metrics, jsonl, and those of installed plugins.
            %trace_export add KIND --help lists the options of one. Secrets are given by reference: env:NAME,
            file:PATH or keyring:SERVICE/NAME.
        list
            The handlers, and how it goes with each.
        test NAME
            Send one marked item, and say what came back.
        pause NAME, resume NAME
            Send nothing for now; go on.
        flush [NAME]
            Send what there is at once, and wait for it.
        remove NAME
            Send nothing more to it, and forget it.

        Examples::

            %trace_export add otlp --preset grafana-cloud --endpoint env:GRAFANA_OTLP --token env:GRAFANA_TOKEN
            %trace_export add jsonl --path ~/agents.jsonl --content full
            %trace_export test jsonl
        """
        try:
            words = shlex.split(line)
        except ValueError:
            raise UsageError(f"a quotation mark is not closed: {line}") from None
        command = words[0] if words else ""
        if command not in COMMANDS:
            given = f"{command!r} is no command; use" if command else "say what to do:"
            known = f"%{NAME} {', '.join(list(COMMANDS)[:-1])} or {list(COMMANDS)[-1]}"
            raise UsageError(f"{given} {known}.{did_you_mean(command, COMMANDS) if command else ''}")
        try:
            found = COMMANDS[command](words[1:])
        except OptionError as error:
            raise UsageError(str(error)) from None
        if found is not None:
            self.shell.display_pub.publish(found.bundle())


# ------------------------------------------------------------------------------------------------------- the commands


def _add(words: list[str]) -> None:
    if not words or words[0].startswith("-"):
        raise UsageError(f"say which kind of handler to add, for example {_EXAMPLE}. {_kinds()}")
    kind, given = words[0], words[1:]
    from agenttrace_nb.export import registry

    made = registry.load(kind)
    if "--help" in given:
        print(_help(kind, made))
        return
    options = _options(given, [f"--{name.replace('_', '-')}" for name in made.options])
    from agenttrace_nb.export import control

    added = control.export_to(kind, **options)
    print(
        f"{added.name}: what ends from now on is sent, content {added.content.value}, until %{NAME} remove {added.name}"
    )
    for problem in registry.unresolved(added.options):
        print(f"  not yet: {problem}")
    print(f"  try it:  %{NAME} test {added.name}")


def _list(words: list[str]) -> Exports:
    if words:
        raise UsageError(f"%{NAME} list takes nothing more, and was given {' '.join(words)}")
    from agenttrace_nb.views.exports import exports

    return exports()


def _test(words: list[str]) -> None:
    from agenttrace_nb.export import control

    name = _name("test", words)
    tested = control.send_test(name)
    print(f"{name}: {_IN_WORDS[tested.answer]}{f' {tested.reason}' if tested.reason else ''}")


_IN_WORDS = {
    "Sent": "the marked item arrived.",
    "Retry": "the marked item did not arrive; another try may succeed.",
    "TooLarge": "the target says that one item is too large.",
    "Refused": "the target answered, and refused the marked item.",
    "Misconfigured": "nothing arrives until something is changed.",
}


def _remove(words: list[str]) -> None:
    from agenttrace_nb.export import control
    from agenttrace_nb.views.exports import exports

    name = _name("remove", words)
    waiting = next((status.waiting for status in exports() if status.settings.name == name), 0)
    control.remove(name)
    left = f"; {waiting} that waited for it are not sent" if waiting else ""
    print(f"{name}: removed{left}")


def _pause(words: list[str]) -> None:
    from agenttrace_nb.export import control

    name = _name("pause", words)
    control.pause(name)
    print(f"{name}: nothing is sent until %{NAME} resume {name}; what is recorded waits")


def _resume(words: list[str]) -> None:
    from agenttrace_nb.export import control

    name = _name("resume", words)
    control.resume(name)
    print(f"{name}: goes on")


def _flush(words: list[str]) -> None:
    from agenttrace_nb.export import control

    name = _name("flush", words) if words else None
    if control.flush(name):
        print("nothing waits")
    else:
        print(f"not everything could be sent yet: %{NAME} list says why. Nothing is lost.")


COMMANDS: dict[str, Callable[[list[str]], Exports | None]] = {
    "add": _add,
    "list": _list,
    "test": _test,
    "remove": _remove,
    "pause": _pause,
    "resume": _resume,
    "flush": _flush,
}
"""What ``%trace_export`` is told to do."""


# ------------------------------------------------------------------------------------------------ reading what was said


def _options(words: list[str], of_handler: list[str]) -> dict[str, Any]:
    known = [*of_handler, *PUMP_OPTIONS]
    found: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if not flag.startswith("--"):
            # Not repeated: a token that lost its option would stand in the output.
            raise UsageError(f"a value belongs to no option; options are {', '.join(known)}")
        if flag not in known:
            raise UsageError(
                f"there is no option {flag} here; there are {', '.join(known)}.{did_you_mean(flag, known)}"
            )
        if not equals:
            value = next(rest, "")
        if not value or (not equals and value.startswith("--")):
            raise UsageError(f"{flag} needs a value")
        name = flag[2:].replace("-", "_")
        if name in found:
            raise UsageError(f"{flag} is given twice")
        found[name] = value
    return found


def _help(kind: str, made: Any) -> str:
    lines = [f"%{NAME} add {kind}"]
    for name, about in made.options.items():
        notes = ["needed"] * (name in made.required) + ["a reference"] * (name in made.secrets)
        flag = f"--{name.replace('_', '-')}"
        lines.append(f"  {flag:<18} {about}" + (f" ({', '.join(notes)})" if notes else ""))
    lines += [f"  {flag:<18} {about}" for flag, about in PUMP_OPTIONS.items()]
    return "\n".join(lines)


def _kinds() -> str:
    from agenttrace_nb.export.registry import KINDS

    return f"There are {', '.join(KINDS.names())}."


def _name(command: str, words: list[str]) -> str:
    if len(words) != 1:
        raise UsageError(f"%{NAME} {command} takes one name, and was given {len(words)}; %{NAME} list shows them")
    return words[0]
