"""`run_cases`: a function over a list of cases, each in a run of its own."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import itertools
import logging
import math
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agenttrace_nb import config
from agenttrace_nb.analysis.trace_set import RETRY_OF, TraceSet
from agenttrace_nb.spans import Trace
from agenttrace_nb.tracing.judging import check_success, judge
from agenttrace_nb.tracing.rate_limits import Pause, wait_asked

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from agenttrace_nb.tracing.judging import Success
    from agenttrace_nb.tracing.run import Run

_log = logging.getLogger("agenttrace_nb")
_LOOK_S = 0.1
_STOP_S = 10.0
_LONGEST_NAME = 80
_MOST_AT_ONCE = 256
_MOST_RETRIES = 100
_MOST_TRACES_NAMED = 200  # what a tag of MLflow holds
_NAMES = ("case", "id", "case_id", "task_id")


def run_cases(
    fn: Callable[[Any], Any],
    cases: Any,
    *,
    arch: str,
    repeats: int = 1,
    concurrency: int = 4,
    success: Success | None = None,
    retries: int = 5,
    experiment: str | None = None,
    tags: Mapping[str, Any] | None = None,
) -> TraceSet:
    """Run a function over cases, each in a run of its own with architecture, case and trial set.

    A case that raises is a failed run and does not stop the others. Interrupting stops what has not begun and what
    can be cancelled; what was done is recorded, and the same call once more goes on from there.

    Parameters
    ----------
    fn
        Takes a case; a coroutine function, or an ordinary one, which runs on a thread. Coroutines run on an event
        loop of their own, so this needs no ``await``.
    cases
        A mapping from id to case; a frame with a column ``case`` or ``id``, of which each row is a case, as a dict; or
        a list. The id of a listed case is its ``case`` or ``id`` if it is a dict with one, itself if it is a number or
        a short text, else its number.
    arch
        Architecture tag that runs are compared by.
    repeats
        Trials of each case.
    concurrency
        How many run at once.
    success
        Takes what ``fn`` returned and the case, and says whether it succeeded: True, False, or None for unknown; or
        one of MLflow's scorers (``mlflow.genai.scorers``), which is given ``inputs`` and ``expectations`` of a case
        that has them, and the result as ``outputs``. Its score is a metric of the run too: compare by ``score:NAME``.
        A run that raised did not succeed.
    retries
        How often a case that met a rate limit (an error with HTTP status 429) is run again; the last time counts.
        Until the time that the answer asks for (``retry-after``; without one 1, 2, 4 ... 60 seconds) no case begins.
        Each run is recorded, and a later one carries the tag ``retry_of`` with the traces that it stands for, which
        `compare` leaves out. An account without credit, or a wait of more than 10 minutes, is a failure at once.
    experiment, tags
        As for `trace`.

    Returns
    -------
    TraceSet
        The traces, in order of cases and trials; a run that failed before an agent began has an empty one.

    Raises
    ------
    OptionError
        If an argument is not allowed, or two cases have the same id.

    Examples
    --------
    >>> async def answer(question):
    ...     return (await Runner.run(agent, question)).final_output
    >>> found = run_cases(answer, {"task-1": "Where is my parcel?"}, arch="plain", repeats=3)  # doctest: +SKIP
    """
    arch = config.check_text("arch", arch)
    _check_whole("repeats", repeats, 1, 10_000)
    _check_whole("concurrency", concurrency, 1, _MOST_AT_ONCE)
    _check_whole("retries", retries, 0, _MOST_RETRIES)
    _check_function("fn", fn)
    check_success(success)
    by_id = _by_id(cases)
    options = {"arch": arch, "experiment": experiment, "tags": config.check_tags(tags or {})}
    key = (
        getattr(fn, "__module__", ""),
        getattr(fn, "__qualname__", repr(fn)),
        arch,
        repeats,
        experiment,
        tuple(by_id),
    )
    done = _stopped.pop(key, {})
    jobs = [
        _Job(case, trial, value, repeats > 1)
        for case, value in by_id.items()
        for trial in range(1, repeats + 1)
        if (case, trial) not in done
    ]
    work = _Work(fn, success, options, jobs, concurrency, retries, done)
    try:
        work.wait()
    except BaseException:
        _stopped[key] = work.done
        raise
    return _as_set(by_id, repeats, work.done, arch)


_stopped: dict[Any, dict[tuple[str, int], Run]] = {}


def _check_whole(name: str, value: Any, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        msg = f"{name}={value!r} is not allowed; it must be a whole number from {least} to {most:,}"
        raise config.OptionError(msg)


def _check_function(name: str, value: Any) -> None:
    if not callable(value):
        msg = f"{name} must be a function; this is a {type(value).__name__}"
        raise config.OptionError(msg)


# ---------------------------------------------------------------------------------------------------------- cases


def _by_id(cases: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for case, value in _named(cases):
        if case in found:
            msg = f"two cases have the id {case!r}; give each its own, for example as a mapping from id to case"
            raise config.OptionError(msg)
        found[case] = value
    if not found:
        msg = "cases is empty; it must be a mapping from id to case, a list, or a frame"
        raise config.OptionError(msg)
    return found


def _named(cases: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(cases, Mapping):
        yield from ((config.check_text("case", name), value) for name, value in cases.items())
        return
    if isinstance(cases, str) or not isinstance(cases, Iterable):
        msg = f"cases must be a mapping from id to case, a list, or a frame; this is a {type(cases).__name__}"
        raise config.OptionError(msg)
    listed = _rows(cases) if hasattr(type(cases), "columns") else list(cases)
    for number, case in enumerate(listed, 1):
        yield _id_of(case) or f"case-{number:03d}", case


def _rows(frame: Any) -> list[dict[str, Any]]:
    import narwhals as nw

    return list(nw.from_native(frame, eager_only=True).iter_rows(named=True))


def _id_of(case: Any) -> str | None:
    if isinstance(case, Mapping):
        case = next((case[name] for name in _NAMES if case.get(name) is not None), None)
    if isinstance(case, bool) or not isinstance(case, (str, int)):
        return None
    text = str(case).strip()
    return text if text and len(text) <= _LONGEST_NAME and text.isprintable() else None


# ------------------------------------------------------------------------------------------------------------ work


@dataclass(frozen=True, slots=True)
class _Job:
    case: str
    trial: int
    value: Any
    is_repeated: bool


@dataclass
class _Work:
    """The cases on their way: an event loop on a thread of its own, while this one waits and shows how far it is."""

    fn: Callable[[Any], Any]
    success: Success | None
    options: dict[str, Any]
    jobs: list[_Job]
    concurrency: int
    retries: int
    done: dict[tuple[str, int], Run]
    failed: int = 0
    pause: Pause = field(default_factory=Pause)
    problem: BaseException | None = None
    _said: set[str] = field(default_factory=set)
    _stopped: bool = False
    _looping: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Run all; return when they are done.

        Raises
        ------
        KeyboardInterrupt
            If this was interrupted; what runs is cancelled first.
        """
        from tqdm.auto import tqdm

        self._threads = ThreadPoolExecutor(self.concurrency, thread_name_prefix="agenttrace-case")
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(self._run,), name="agenttrace-cases", daemon=True)
        total, before = len(self.jobs), len(self.done)
        with tqdm(total=total, desc=str(self.options["arch"]), unit="run", disable=not total) as bar:
            # Begun in here: an interrupt at any moment from now on must not leave cases running that nobody waits for.
            try:
                thread.start()
                while thread.is_alive():
                    thread.join(_LOOK_S)
                    self._tell(bar, before)
            except BaseException:
                self._stop(thread)
                self._tell(bar, before)
                raise
            self._tell(bar, before)
        if self.problem is not None:
            raise self.problem

    def _tell(self, bar: Any, before: int) -> None:
        waits = math.ceil(self.pause.left_s)
        told = [f"{self.failed} failed"] if self.failed else []
        told += [f"rate limit: goes on in {waits} s"] if waits else []
        bar.set_postfix_str(", ".join(told), refresh=bool(waits))
        bar.update(len(self.done) - before - bar.n)

    def _stop(self, thread: threading.Thread) -> None:
        def cancel() -> None:
            for task in asyncio.all_tasks(self._loop):
                task.cancel()

        self._stopped = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        if thread.is_alive() and self._looping.wait(_STOP_S) and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(cancel)
            thread.join(_STOP_S)

    def _run(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._looping.set()
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._all())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self.problem = error
        finally:
            self._threads.shutdown(wait=False)
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _all(self) -> None:
        waiting = iter(self.jobs)  # one iterator for all: each worker takes the next

        async def worker() -> None:
            for job in waiting:
                if self._stopped:  # also where the case before swallowed that it was cancelled
                    return
                await self._one(job)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.concurrency, len(self.jobs))):
                group.create_task(worker())

    async def _one(self, job: _Job) -> None:
        stands_for: Run | None = None
        for attempt in range(1, self.retries + 2):
            await self.pause.over()
            if self._stopped:
                return
            run = self._begun(job, stands_for)
            error = await self._tried(run, job)
            wait_s = wait_asked(error, attempt) if error is not None and attempt <= self.retries else None
            if error is None or wait_s is None:
                break
            self.pause.hold(wait_s)
            self._say(f"{self.options['arch']} met a rate limit, and its cases wait for {wait_s:.0f} s", error)
            stands_for = run
        if error is not None:
            self.failed += 1
            self._say(f"{self.options['arch']}, case {job.case} failed and is recorded so", error)
        self.done[job.case, job.trial] = run

    def _begun(self, job: _Job, stands_for: Run | None) -> Run:
        from agenttrace_nb.tracing import trace

        options = self.options
        if stands_for is not None and (before := [one.trace_id for one in stands_for.traces]):
            options = options | {"tags": options["tags"] | {RETRY_OF: " ".join(before[:_MOST_TRACES_NAMED])}}
        return trace(**options, case=job.case, trial=job.trial if job.is_repeated else None, live=False)

    async def _tried(self, run: Run, job: _Job) -> Exception | None:
        try:
            # A task of its own: what the case sets in its context ends with it.
            await self._loop.create_task(self._in_run(run, job))
        except Exception as error:
            return error
        return None

    async def _in_run(self, run: Run, job: _Job) -> None:
        with run:
            result = await self._called(job.value)
            run.success = self._judged(run, result, job.value)

    def _called(self, value: Any) -> Coroutine[Any, Any, Any]:
        async def call() -> Any:
            if inspect.iscoroutinefunction(self.fn):
                return await self.fn(value)
            context = contextvars.copy_context()  # the run is known on the thread too
            result = await self._loop.run_in_executor(self._threads, context.run, self.fn, value)
            return await result if inspect.isawaitable(result) else result

        return call()

    def _judged(self, run: Run, result: Any, value: Any) -> bool | None:
        try:
            return judge(self.success, run, result, value)
        except Exception as error:
            self._say("success could not be told and is unknown", error)
            return None

    def _say(self, what: str, error: Exception) -> None:
        kind = f"{what.split(',', maxsplit=1)[0]}{type(error).__name__}"
        if kind not in self._said:  # one of each kind: the runs hold all of them
            self._said.add(kind)
            _log.warning("%s: %s: %s", what, type(error).__name__, error)


# ---------------------------------------------------------------------------------------------------------- result


def _as_set(by_id: Mapping[str, Any], repeats: int, done: Mapping[tuple[str, int], Run], arch: str) -> TraceSet:
    traces: list[Trace] = []
    success: dict[str, bool | None] = {}
    is_answered = True
    for case, trial in itertools.product(by_id, range(1, repeats + 1)):
        run = done[case, trial]
        # Where MLflow did not take one it takes none for now: it is asked once, and the runs go by their own keys.
        run_id = run.run_id if is_answered else None
        is_answered = run_id is not None
        known = run_id or run.key
        success[known] = run.success
        labels = {"arch": arch, "case": case} | ({"trial": str(trial)} if repeats > 1 else {})
        for one in run.traces or [_empty(run)]:
            one.run_id = one.run_id or known
            one.tags = {**labels, **run.recorded.tags, **one.tags}
            traces.append(one)
    return TraceSet(traces, success=success)


def _empty(run: Run) -> Trace:
    about = run._started().run  # noqa: SLF001 - of this room
    return Trace(trace_id=run.key, name=about.name, start_ns=about.start_ns, end_ns=about.end_ns, status=about.status)
