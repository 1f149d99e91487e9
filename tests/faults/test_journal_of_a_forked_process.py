"""A forked child appends to a journal of its own; its parent's is left alone, however the child ends."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

import pytest
from faults.programs import output_of, running

from agenttrace_nb.journal.place import orphans
from agenttrace_nb.journal.read import JournalReader

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

FORKS = """
journal = process_journal()
say(journal, "parent before", size=300, urgent=True)
say(journal, "parent unwritten", size=300)
log = journal.path.with_name(journal.path.name + "-wal")
sys.stdout.flush()
child = os.fork()
if child == 0:
    {child}
    os._exit(0)
os.waitpid(child, 0)
assert log.exists() and log.stat().st_size > 0
for number in range(50):
    say(journal, f"parent after {{number}}", size=300, urgent=True)
journal.close()
print("parent", journal.path, flush=True)
"""


def names(path: Path) -> list[str | None]:
    with closing(JournalReader(path)) as reader:
        return [event.span_id for event in reader.events()]


def whole(path: Path) -> bool:
    with closing(JournalReader(path)) as reader:
        return all(b"parent" in reader.item(n) for n in range(1, 53))


def played(child: str) -> tuple[dict[str, Path], list[str]]:
    lines = output_of(FORKS.format(child=child))
    paths = {who: Path(path) for who, path in (line.split(" ", 1) for line in lines) if path.endswith(".journal")}
    parent = names(paths["parent"])
    assert parent == ["parent before", "parent unwritten", *(f"parent after {n}" for n in range(50))]
    assert whole(paths["parent"])
    return paths, lines


@pytest.mark.parametrize("whose", ["process_journal()", "journal"], ids=["asked for anew", "held from before"])
def test_a_child_appends_to_its_own_journal(own_state_dir: Path, whose: str) -> None:
    child = f"say({whose}, 'child', size=300, urgent=True); print('child', process_journal().path, flush=True)"
    paths, _ = played(child)
    assert paths["child"] != paths["parent"]
    assert names(paths["child"]) == ["child"]


def test_both_ways_lead_to_one_journal_of_the_child(own_state_dir: Path) -> None:
    appends = "say(journal, 'a'); say(process_journal(), 'b', urgent=True)"
    paths, _ = played(f"{appends}; print('child', process_journal().path, flush=True)")
    assert names(paths["child"]) == ["a", "b"]
    assert len(orphans()) == 2


@pytest.mark.parametrize(
    "end", ["sys.exit(0)", "journal.close()", "journal.flush()", "del journal; import gc; gc.collect()", "os.abort()"]
)
def test_however_a_child_ends_its_parents_journal_is_whole(own_state_dir: Path, end: str) -> None:
    played(f"import atexit; {end}")


def test_a_child_ending_normally_with_all_its_finalizers_leaves_the_parents_log(own_state_dir: Path) -> None:
    played("say(journal, 'child', urgent=True); sys.exit(0)")


def test_a_child_reads_the_items_of_its_parent(own_state_dir: Path) -> None:
    _, lines = played("print('read', journal.item(1)[:16].decode(), flush=True)")
    assert any(line.startswith('read "parent before ') for line in lines)


def test_the_parents_lease_ends_with_the_parent_though_its_child_lives(own_state_dir: Path) -> None:
    program = """
journal = process_journal()
say(journal, "parent", urgent=True)
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
print(journal.path, child, flush=True)
sys.stdin.read()
"""
    with running(program) as process:
        path, child = process.stdout.readline().split()
        try:
            assert orphans() == []
            process.kill()
            process.wait()
            deadline = time.monotonic() + 20  # the child may not have had its first moment yet
            while orphans() != [Path(path)]:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            os.kill(int(child), 9)


def test_a_fork_while_another_thread_appends_does_not_lock_the_child_up(own_state_dir: Path) -> None:
    lines = output_of("""
import threading
journal = process_journal()
over = threading.Event()
def work():
    while not over.is_set():
        say(journal, "parent", size=300, urgent=True)
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
for _ in range(10):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        say(journal, "child", urgent=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
over.set()
for thread in threads: thread.join()
journal.close()
print(journal.path)
""")
    assert set(names(Path(lines[-1]))) == {"parent"}
    children = [path for path in orphans() if path != Path(lines[-1])]
    assert [names(path) for path in children] == [["child"]] * 10
