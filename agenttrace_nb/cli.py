"""``agenttrace-nb``: what was recorded, outside a notebook."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from agenttrace_nb import config
from agenttrace_nb.journal.place import (
    SUFFIX,
    JournalError,
    Lease,
    LeaseTakenError,
    journal_folder,
    orphans,
    owner_lock,
)
from agenttrace_nb.journal.read import JournalReader
from agenttrace_nb.mlflow_store import target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agenttrace_nb.mlflow_store.stores import Stores
    from agenttrace_nb.spans import CellRun, Trace

_FAILED = 1


class _Parser(argparse.ArgumentParser):
    """A parser that offers the word that was meant."""

    def error(self, message: str) -> NoReturn:
        if match := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            words = [word.strip("' ") for word in match[2].split(",")]
            message = f"there is no command {match[1]!r}; there are {', '.join(words)}."
            message += config.did_you_mean(match[1], words)
        elif match := re.match(r"unrecognized arguments: (\S+)", message):
            flags = [flag for action in self._actions for flag in action.option_strings]
            message = f"{match[1]!r} is not known here; see {self.prog} --help."
            message += config.did_you_mean(match[1], flags)
        super().error(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Parameters
    ----------
    arguments
        Words of the command line; by default those of this process.

    Returns
    -------
    int
        0 if it did its work, 1 if it could not; a wrong command line ends the process with 2.
    """
    parser = _parser()
    given, rest = parser.parse_known_args(arguments)
    if rest:
        given.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if given.command is None:
        parser.error(f"say what to do; see {parser.prog} --help")
    try:
        status: int = given.command(given)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads, such as head, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except (JournalError, config.OptionError) as error:
        _report(str(error))
        return _FAILED
    return status


def _parser() -> _Parser:
    from agenttrace_nb import __version__

    parser = _Parser(prog="agenttrace-nb", description="Look at what agenttrace_nb recorded on this machine.")
    parser.add_argument("--version", action="version", version=f"agenttrace_nb {__version__}")
    parser.set_defaults(command=None, parser=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    show = commands.add_parser("show", help="print the call tree of the last run, or of a trace")
    show.add_argument(
        "id",
        nargs="?",
        default="last",
        help="a trace id, the id of an MLflow run with one trace, or last (the default)",
    )
    show.add_argument("--html", type=Path, metavar="PATH", help="write the interactive view to a file instead")
    show.set_defaults(command=_show, parser=show)

    status = commands.add_parser("status", help="say where the journals are and what MLflow does not have yet")
    status.set_defaults(command=_status, parser=status)

    grafana = commands.add_parser("grafana-dashboard", help="print a Grafana dashboard for the metrics of the runs")
    grafana.add_argument("--out", type=Path, metavar="PATH", help="write it to a file instead")
    grafana.set_defaults(command=_grafana_dashboard, parser=grafana)

    from agenttrace_nb.audit.commands import add_to

    add_to(commands)

    recover = commands.add_parser("recover", help="close and deliver what processes left that have ended")
    recover.add_argument("--dry-run", action="store_true", help="only say what would be done")
    recover.add_argument("--tracking-uri", metavar="URI", help="where runs go that MLflow does not have yet")
    recover.set_defaults(command=_recover, parser=recover)
    return parser


# --------------------------------------------------------------------------------------------------------------- show


def _show(given: argparse.Namespace) -> int:
    with ExitStack() as open_journals:
        found = _recorded(given.id, open_journals) or _in_mlflow(given.id)
        if found is None:
            return _FAILED
        run, traces = found
        if given.html is not None:
            from agenttrace_nb.views.page import write_page

            print(write_page(given.html, run, traces))
        else:
            from agenttrace_nb.views.rows import Rows
            from agenttrace_nb.views.text import terminal_columns, text_tree

            print(text_tree(run, Rows.of_traces(traces), columns=terminal_columns()))
    return 0


def _in_mlflow(wanted: str) -> tuple[Trace, list[Trace]] | None:
    """Find a trace in the MLflow that this folder writes to; say why there is none."""
    if wanted == "last":
        _report(f"nothing was recorded yet in the journals of {journal_folder()}")
        return None
    _settle_mlflow()
    from agenttrace_nb.analysis.search import load
    from agenttrace_nb.mlflow_store.store import StoreError

    try:
        trace = load(wanted)
    except (LookupError, ConnectionError, StoreError) as error:
        _report(f"not in the journals of {journal_folder()}, nor in MLflow: {error}")
        return None
    return trace, [trace]


def _recorded(wanted: str, open_journals: ExitStack) -> tuple[CellRun | Trace, list[Trace]] | None:
    """Find a run or a trace in the journals, the latest written first. Contents are read as long as they are open."""
    from agenttrace_nb.journal.fold import Fold
    from agenttrace_nb.spans import trace_id_of

    trace_id = trace_id_of(wanted) if wanted.startswith("trace_") else wanted.removeprefix("tr-")
    for path in sorted(_journals(), key=_last_write_ns, reverse=True):
        try:
            reader = open_journals.enter_context(closing(JournalReader(path)))
            fold = Fold(reader.item)
            for event in reader.events():
                fold.apply(event)
        except JournalError as error:
            _report(str(error))
            continue
        if wanted == "last" and fold.runs:
            run = max(fold.runs.values(), key=lambda run: run.start_ns)
            return run, [fold.traces[trace_id] for trace_id in run.trace_ids]
        if trace_id in fold.traces:
            return fold.traces[trace_id], [fold.traces[trace_id]]
    return None


# ------------------------------------------------------------------------------------------------------------- status


def _status(_given: argparse.Namespace) -> int:
    from agenttrace_nb import __version__

    journals = _journals()
    size = sum(file.stat().st_size for path in journals for file in _files_of(path))
    print(f"agenttrace_nb {__version__}")
    print(f"journals  {journal_folder()}  ({len(journals)}, {size / 1e6:.1f} MB)")
    for path in journals:
        print(f"  {path.stem}  {_standing(path)}")
    there = "" if config.config_file().exists() else "  (not there)"
    print(f"options   {config.config_file()}{there}")
    for name, (value, source) in config.sources().items():
        print(f"  {name} = {value}  ({source})")
    return 0


def _standing(path: Path) -> str:
    """Say who has a journal, what is in it, and how much of it each follower still has to deliver."""
    try:
        Lease(owner_lock(path)).release()
        owner = "its process has ended"
    except LeaseTakenError:
        owner = "in use"
    try:
        with closing(JournalReader(path)) as reader:
            events = reader.last_seq()
    except JournalError as error:
        return f"{owner}, cannot be read: {error}"
    waiting = {
        file.name.split(".")[-2]: events - _cursor(file) for file in sorted(path.parent.glob(f"{path.stem}.*.json"))
    }
    if not waiting:
        return f"{owner}, {events} events, delivery has not begun"
    behind = [f"{name} {count} to deliver" for name, count in waiting.items() if count > 0]
    return f"{owner}, {events} events, {', '.join(behind) or 'all delivered'}"


def _cursor(file: Path) -> int:
    try:
        return int(json.loads(file.read_text("utf-8"))["cursor"])
    except (OSError, ValueError, KeyError):
        return 0


# ---------------------------------------------------------------------------------------------------------- dashboard


def _grafana_dashboard(given: argparse.Namespace) -> int:
    from agenttrace_nb.export.grafana import committed

    if given.out is None:
        print(committed(), end="")
        return 0
    try:
        given.out.write_text(committed(), "utf-8")
    except OSError as error:
        _report(f"{given.out} cannot be written: {error.strerror}")
        return _FAILED
    print(f"{given.out}: in Grafana choose Dashboards, New, Import")
    return 0


# ------------------------------------------------------------------------------------------------------------ recover


def _recover(given: argparse.Namespace) -> int:
    left = orphans()
    if not left:
        print(f"nothing to recover in {journal_folder()}")
        return 0
    if given.dry_run:
        for path in left:
            print(f"{path.stem}  {_standing(path)}{_left_open(path)}")
        return 0
    elsewhere = target.tracking_uri(Path.cwd(), given.tracking_uri) if given.tracking_uri else None
    if elsewhere and (reason := target.refusal(elsewhere)):
        _report(reason)
        return _FAILED
    _settle_mlflow()
    from agenttrace_nb.mlflow_store.stores import Stores
    from agenttrace_nb.mlflow_store.worker import prepare_process

    prepare_process()
    _seal(left)
    stores = Stores(_report)
    delivered = [_recover_one(path, stores, elsewhere) for path in left]
    return 0 if all(delivered) else _FAILED


def _seal(left: list[Path]) -> None:
    """Where the audit log is on, seal what is delivered afterwards."""
    from agenttrace_nb.journal.sealing import is_on

    if is_on():
        from agenttrace_nb.audit.log import AuditLog
        from agenttrace_nb.audit.place import AuditError
        from agenttrace_nb.audit.process import seal_orphans

        try:
            with closing(AuditLog()) as log:
                for folder in {path.parent for path in left}:
                    seal_orphans(log, _report, folder)
        except AuditError as error:
            _report(f"nothing is sealed, so that traces wait: {error}")


def _recover_one(path: Path, stores: Stores, elsewhere: str | None) -> bool:
    """Close and deliver one journal, and say how it went."""
    from agenttrace_nb.journal.recover import close_interrupted
    from agenttrace_nb.mlflow_store.worker import deliver

    def tell(message: dict[str, Any]) -> None:
        for reason in (message.get("problem"), message.get("reason")):
            if reason:
                _report(reason)

    try:
        closed = close_interrupted(path)
        delivered = deliver(path, stores, tell, retry_parked=True, elsewhere=elsewhere)
    except (JournalError, OSError) as error:
        _report(f"{path.stem}: {error}")
        return False
    done = []
    if closed.damaged is not None:
        done.append(f"damaged: what can be read was saved, and the file kept as {closed.damaged.name}")
    if open_ := _counted({"run": closed.runs, "trace": closed.traces, "step": closed.spans}):
        done.append(f"{open_} closed as interrupted")
    done.append("delivered" if delivered else "not delivered: nothing is lost, try again later")
    print(f"{path.stem}  {', '.join(done)}")
    return delivered


def _left_open(path: Path) -> str:
    from agenttrace_nb.journal.fold import Fold
    from agenttrace_nb.spans import Status

    try:
        with closing(JournalReader(path)) as reader:
            fold = Fold(reader.item)
            for event in reader.events():
                fold.apply(event)
    except JournalError:
        return ""
    traces = fold.traces.values()
    standing = {
        "run": [run.status for run in fold.runs.values()],
        "trace": [trace.status for trace in traces],
        "step": [span.status for trace in traces for span in trace.spans],
    }
    open_ = _counted({what: found.count(Status.RUNNING) for what, found in standing.items()})
    return f", {open_} left open" if open_ else ""


def _counted(numbers: dict[str, int]) -> str:
    from agenttrace_nb.views.format import plural

    return ", ".join(f"{number} {plural(number, what)}" for what, number in numbers.items() if number)


# ----------------------------------------------------------------------------------------------------------- journals


def _settle_mlflow() -> None:
    """Before MLflow is imported: not a word of how it makes its database, no four minutes for an absent server."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")


def _report(problem: str) -> None:
    print(f"agenttrace-nb: {problem}", file=sys.stderr)


def _journals() -> list[Path]:
    """Return the journals of this user, oldest first."""
    return sorted(journal_folder().glob(f"*{SUFFIX}"))


def _files_of(path: Path) -> list[Path]:
    return [file for file in path.parent.glob(f"{path.stem}.*") if file.is_file()]


def _last_write_ns(path: Path) -> int:
    # What was written last may still be in the log beside the file.
    return max(file.stat().st_mtime_ns for file in (path, path.with_name(f"{path.name}-wal")) if file.exists())


if __name__ == "__main__":
    sys.exit(main())
