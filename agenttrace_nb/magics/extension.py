"""``%%trace_agents`` and ``%trace_agents``: the magics, and the cells that they trace."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from agenttrace_nb import config
from agenttrace_nb.magics.cell import NAME, describe, has_code, names_the_magic
from agenttrace_nb.magics.options import COMMANDS, parse, takes_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell


class TracedRun(Protocol):
    """What the magic needs of a run of the engine."""

    def start(self, *, at_first_event: bool = False) -> object:
        """Begin to record: at once, or when there is something to record."""

    def finish(self, error: BaseException | None = None) -> object:
        """End the record; `error` is what the cell raised."""


_WITHOUT_OPTIONS = "The cell runs and is recorded without the options of its line; correct it for the next run."


@dataclass(slots=True, eq=False)
class _Cell:
    """A cell that is running, from its announcement to its end."""

    info: ExecutionInfo
    place: config.CellInfo
    run: TracedRun | None = None

    @property
    def source(self) -> str:
        return self.info.raw_cell or ""


@magics_class
class AgentTraceMagics(Magics):
    """The magics of one shell.

    Parameters
    ----------
    shell
        The shell.
    engine
        Makes a run from the options of the magic and ``cell`` (a `CellInfo`).
    """

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell, engine: Callable[..., TracedRun]) -> None:
        super().__init__(shell)
        self._engine = engine
        self._cells: list[_Cell] = []  # outermost first: %%capture runs a cell within a cell
        self._every_cell: dict[str, Any] | None = None
        self._every_cell_line = ""

    # ------------------------------------------------------------------------------------------------- the magics

    @no_var_expand
    @cell_magic(NAME)
    @takes_options(f"%{NAME}")
    def trace_cell(self, line: str, cell: str) -> None:
        """Trace the agents that this cell runs: a live call tree below it, and a run in MLflow.

        The cell runs as it would without this line. Put the line first, or below another cell magic.

        ::

            %%trace_agents --arch planner-executor --case task-17 --role Planner=planner
            result = await Runner.run(planner, "Rebook my flight")

        %config AgentTrace shows and sets the defaults, %trace_agents on traces every following cell.
        """
        # Only calls by hand come here: `rewrite` has replaced the magic wherever IPython reads a cell.
        self.shell.run_cell(f"%%{NAME} {line}\n{cell}").raise_error()

    @no_var_expand
    @line_magic(NAME)
    @takes_options(f"{NAME} on")
    def command(self, line: str) -> None:
        """Say what is traced: %trace_agents on | off | status | last.

        on
            Trace every following cell that runs agents, with the options given behind it.
        off
            Trace only cells that begin with %%trace_agents again.
        status
            What is traced, and where it goes.
        last
            Show the last run once more.
        """
        word, _, options = line.strip().partition(" ")
        if word not in COMMANDS:
            given = f"{word!r} is no command; use" if word else "say what to do:"
            hint = config.did_you_mean(word, COMMANDS) if word else ""
            msg = f"{given} %{NAME} {', '.join(COMMANDS[:-1])} or {COMMANDS[-1]}.{hint}"
            raise UsageError(msg)
        if options.strip() and word != "on":
            msg = f"%{NAME} {word} takes no options, and was given {options.strip()}"
            raise UsageError(msg)
        getattr(self, f"_{word}")(options.strip())

    def _on(self, line: str) -> None:
        self._every_cell = parse(self.command, line)
        self._every_cell_line = line

    def _off(self, _line: str) -> None:
        self._every_cell = None

    def _status(self, _line: str) -> None:
        print(self._status_text())

    def _status_text(self) -> str:
        from agenttrace_nb.journal.place import journal_folder

        if self._every_cell is None:
            traced = f"cells that begin with %%{NAME}  (%{NAME} on: every cell)"
        else:
            traced = f"every cell  {self._every_cell_line}".rstrip() + f"  (%{NAME} off: no longer)"
        lines = [f"tracing   {traced}", f"journals  {journal_folder()}"]
        lines += [f"option    {name} = {value}  ({source})" for name, (value, source) in config.sources().items()]
        return "\n".join(lines)

    def _last(self, _line: str) -> None:
        from agenttrace_nb.tracing import last

        try:
            run = last()
        except LookupError as error:
            raise UsageError(str(error)) from None
        run.show()

    # -------------------------------------------------------------------------------------------- the traced cell

    def begin(self, line: str) -> None:
        """Begin to trace the running cell; `rewrite` puts a call of this in the place of the magic's line.

        The user's code runs whatever is wrong with that line: a mistyped option is told, and the cell is recorded
        without the options.
        """
        try:
            options = parse(self.trace_cell, line)
        except UsageError as error:
            _tell(f"{error}\n{_WITHOUT_OPTIONS}")
            options = {}
        if not self._cells:
            _tell("this cell runs silently, without the events that tracing needs; it is not traced")
            return
        cell = self._cells[-1]
        if cell.run is not None:
            _tell(f"this cell is traced already: one %%{NAME} is enough")
            return
        if not has_code(cell.source):
            _tell(f"nothing to trace: there is no code below %%{NAME}")
            return
        self._start(cell, options)

    def _start(self, cell: _Cell, options: dict[str, Any], *, at_first_event: bool = False) -> None:
        try:
            cell.run = self._engine(**options, cell=cell.place)
            cell.run.start(at_first_event=at_first_event)
        except config.OptionError as error:
            cell.run = None
            if not options:  # what is wrong is set elsewhere, and may be a rule for redaction: record nothing
                _tell(f"{error}\nThe cell runs and is not recorded; put that right and run it again.")
                return
            _tell(f"{error}\n{_WITHOUT_OPTIONS}")
            self._start(cell, {}, at_first_event=at_first_event)
        except Exception as error:
            cell.run = None
            _tell(f"tracing could not start, the cell runs without it: {type(error).__name__}: {error}")

    def cell_begins(self, info: ExecutionInfo) -> None:
        """Take note of a cell that is about to run (IPython's event ``pre_run_cell``)."""
        place = self._cells[0].place if self._cells else describe(self.shell, info)
        cell = _Cell(info, place)
        self._cells.append(cell)
        if self._every_cell is None or any(other.run for other in self._cells):
            return
        if has_code(cell.source) and not names_the_magic(cell.source):
            self._start(cell, self._every_cell, at_first_event=True)

    def cell_ended(self, result: ExecutionResult | None = None) -> None:
        """End the run of a cell (IPython's event ``post_run_cell``)."""
        at = self._position(result)
        if at is None:
            return
        ended, self._cells = self._cells[at:], self._cells[:at]
        for cell in reversed(ended):
            _finish(cell, _error_of(result))

    def _position(self, result: ExecutionResult | None) -> int | None:
        """Find the cell that ended; blank cells, for one, end without having been announced."""
        info = getattr(result, "info", None)
        for at in reversed(range(len(self._cells))):
            ours = self._cells[at].info
            # IPython makes a second record of the same cell when its runner fails.
            if info is None or info is ours or info.raw_cell == ours.raw_cell:
                return at
        return None

    def end_all(self) -> None:
        """End what is still being traced: the extension is being unloaded."""
        ended, self._cells = self._cells, []
        for cell in reversed(ended):
            _finish(cell, None)


def _error_of(result: ExecutionResult | None) -> BaseException | None:
    if result is None:  # the kernel gave the cell up before it had a result
        return asyncio.CancelledError("the kernel stopped the cell")
    error: BaseException | None = result.error_before_exec or result.error_in_exec
    return error


def _finish(cell: _Cell, error: BaseException | None) -> None:
    run, cell.run = cell.run, None
    if run is None:
        return
    try:
        run.finish(error)
    except Exception as problem:
        _tell(f"the end of the run could not be recorded: {type(problem).__name__}: {problem}")


def _tell(text: str) -> None:
    print(f"agenttrace_nb: {text}", file=sys.stderr)
