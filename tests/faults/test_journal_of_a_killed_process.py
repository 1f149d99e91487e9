"""What was recorded survives the end of its process, whichever way it ends."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest
from faults.programs import running

from agenttrace_nb.journal.append import FLUSH_S
from agenttrace_nb.journal.place import orphans
from agenttrace_nb.journal.read import JournalReader
from agenttrace_nb.journal.recover import Closed, close_interrupted


def names(path: Path) -> list[str | None]:
    with closing(JournalReader(path)) as reader:
        return [event.span_id for event in reader.events()]


def test_an_urgent_event_survives_kill_9_right_after_it(own_state_dir: Path) -> None:
    program = """
journal = process_journal()
for number in range(20):
    say(journal, f"before {number}", size=200)
say(journal, "urgent", urgent=True)
os.write(1, f"{journal.path}\\n".encode())
os.kill(os.getpid(), signal.SIGKILL)
"""
    with running(program) as process:
        path = Path(process.stdout.readline().strip())
        assert process.wait() == -9
    assert names(path) == [*(f"before {n}" for n in range(20)), "urgent"]
    with closing(JournalReader(path)) as reader:
        assert b"before 7" in reader.item(8)
    assert orphans() == [path]
    assert close_interrupted(path) == Closed(runs=0, traces=0, spans=21)


def test_each_of_many_urgent_events_was_written_when_its_process_said_so(own_state_dir: Path) -> None:
    program = """
journal = process_journal()
print(journal.path, flush=True)
for number in range(10**9):
    say(journal, f"soon {number}", size=100)
    say(journal, f"at once {number}", urgent=True)
    os.write(1, f"{number}\\n".encode())
"""
    with running(program) as process:
        path = Path(process.stdout.readline().strip())
        for line in process.stdout:
            if line == "300\n":
                break
        process.kill()
        told = int([*process.stdout.read().splitlines(), "300"][-1]) if not process.stdout.closed else 300
        process.wait()
    written = names(path)
    wanted = [name for n in range(301) for name in (f"soon {n}", f"at once {n}")]
    assert written[: len(wanted)] == wanted
    assert told >= 300 or len(written) >= len(wanted)


def test_an_event_that_is_not_urgent_survives_once_the_flush_time_is_over(own_state_dir: Path) -> None:
    program = """
journal = process_journal()
say(journal, "lazy", size=200)
print(journal.path, flush=True)
sys.stdin.read()
"""
    with running(program) as process:
        path = Path(process.stdout.readline().strip())
        deadline = time.monotonic() + 20
        while not names(path):
            assert time.monotonic() < deadline
            time.sleep(FLUSH_S / 5)
        process.kill()
        process.wait()
    assert names(path) == ["lazy"]


LATE = "import threading; threading.Thread(target=say, args=(journal, 'late')).start()"


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise ValueError('no')", LATE])
def test_a_process_that_ends_by_itself_writes_the_rest(own_state_dir: Path, end: str) -> None:
    program = f"""
journal = process_journal()
print(journal.path, flush=True)
say(journal, "last words")
{end}
"""
    with running(program) as process:
        path = Path(process.stdout.readline().strip())
        process.wait()
    assert names(path)[0] == "last words"
    assert len(names(path)) == (2 if "late" in end else 1)
    assert orphans() == [path]


def test_a_terminated_process_leaves_what_was_urgent(own_state_dir: Path) -> None:
    program = """
journal = process_journal()
say(journal, "urgent", urgent=True)
print(journal.path, flush=True)
sys.stdin.read()
"""
    with running(program) as process:
        path = Path(process.stdout.readline().strip())
        process.terminate()
        process.wait()
    assert names(path) == ["urgent"]
