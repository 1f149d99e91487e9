"""Where journals live: private, local, and owned by a living process or by nobody."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agenttrace_nb import config
from agenttrace_nb.journal import place
from agenttrace_nb.journal.append import Journal
from agenttrace_nb.journal.place import (
    JournalError,
    Lease,
    LeaseTakenError,
    fallback_folder,
    is_network_path,
    journal_folder,
    new_path,
    orphans,
    owner_lock,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLDS_A_LEASE = """
import sys
from pathlib import Path
from agenttrace_nb.journal.place import Lease
lease = Lease(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def temporary_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# ---------------------------------------------------------------------------------------------------------- folders


def test_the_environment_chooses_the_folder(own_state_dir: Path) -> None:
    assert journal_folder() == own_state_dir / "journals"
    assert mode(journal_folder()) == 0o700


def test_an_option_of_this_process_chooses_the_folder(tmp_path: Path, own_state_dir: Path) -> None:
    config.set_option("state_dir", str(tmp_path / "mine"))
    try:
        assert journal_folder() == tmp_path / "mine" / "journals"
    finally:
        config.forget_options()


def test_a_wrong_option_elsewhere_leaves_the_choice_of_the_environment(
    own_state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTTRACE_LIVE", "perhaps")
    assert journal_folder() == own_state_dir / "journals"


def test_a_relative_choice_means_the_same_folder_after_a_change_of_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTTRACE_STATE_DIR", "mine")
    assert journal_folder() == tmp_path / "mine" / "journals"


def test_a_folder_that_others_may_read_is_closed_to_them(own_state_dir: Path) -> None:
    folder = own_state_dir / "journals"
    folder.mkdir()
    folder.chmod(0o755)
    assert mode(journal_folder()) == 0o700


def test_without_a_choice_it_is_the_platforms_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTTRACE_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path in journal_folder().parents


def test_a_home_on_a_network_leads_to_the_temporary_disk(
    tmp_path: Path, temporary_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGENTTRACE_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(place, "is_network_path", lambda path: "home" in str(path))
    assert temporary_disk in journal_folder().parents


def test_the_folder_on_the_temporary_disk_is_private_with_all_above_it(temporary_disk: Path) -> None:
    folder = fallback_folder()
    assert temporary_disk in folder.parents
    assert (mode(folder), mode(folder.parent)) == (0o700, 0o700)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners of files")
def test_a_folder_of_somebody_else_is_refused(own_state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    with pytest.raises(JournalError, match="belongs to somebody else; set AGENTTRACE_STATE_DIR"):
        journal_folder()


def test_a_link_in_place_of_the_folder_on_the_temporary_disk_is_not_followed(
    temporary_disk: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (temporary_disk / f"agenttrace_nb-{os.getuid()}").symlink_to(elsewhere)
    with pytest.raises(JournalError, match="is a link"):
        fallback_folder()
    assert mode(elsewhere) == 0o755


def test_names_of_journals_are_new_each_time(tmp_path: Path) -> None:
    names = {new_path(tmp_path).name for _ in range(100)}
    assert len(names) == 100
    assert all(f"-{os.getpid()}-" in name for name in names)


# ---------------------------------------------------------------------------------------------------------- network

MOUNTS = """\
/dev/vda / ext4 rw 0 0
proc /proc proc rw 0 0
server:/srv /srv nfs4 rw 0 0
/dev/vdb /srv/ada/local ext4 rw 0 0
//nas/share /mnt/my\\040share cifs rw 0 0
//nas/tab /mnt/tab\\011here smb3 rw 0 0
me@host: /mnt/ssh fuse.sshfs rw 0 0
bucket /mnt/bucket fuse.s3fs rw 0 0
overlay /mnt/box fuse.fuse-overlayfs rw 0 0
/dev/sdc /mnt/usb fuseblk rw 0 0
broken line
"""


@pytest.mark.parametrize(
    ("path", "is_network"),
    [
        ("/srv/ada", True),
        ("/srv", True),
        ("/srvwork", False),
        ("/srv/ada/local/state", False),
        ("/var/lib", False),
        ("/mnt/my share/x", True),
        ("/mnt/tab\there/x", True),
        ("/mnt/ssh/x", True),
        ("/mnt/bucket", True),
        ("/mnt/box/x", False),
        ("/mnt/usb/x", False),
    ],
)
def test_the_mount_that_a_path_lies_on_decides(tmp_path: Path, path: str, is_network: bool) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert is_network_path(Path(path), mounts) is is_network


def test_a_link_to_a_network_is_on_the_network(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {os.path.realpath(real)} nfs rw 0 0\n")
    assert is_network_path(tmp_path / "link" / "state", mounts)


def test_a_later_mount_hides_an_earlier_one_at_the_same_place(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("a /srv nfs rw 0 0\nb /srv ext4 rw 0 0\n")
    assert not is_network_path(Path("/srv/ada"), mounts)


def test_where_mounts_cannot_be_read_nothing_is_said_to_be_a_network(tmp_path: Path) -> None:
    assert not is_network_path(Path("/srv"), tmp_path / "no such file")


# ----------------------------------------------------------------------------------------------------------- leases


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_A_LEASE, str(tmp_path / "x.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lease_that_another_process_holds_is_refused_in_clear_words(
    tmp_path: Path, other_process: subprocess.Popen[str]
) -> None:
    with pytest.raises(LeaseTakenError, match=r"x\.lock is held by another process; let that process finish"):
        Lease(tmp_path / "x.lock")


def test_a_lease_ends_with_its_process_however_it_ends(tmp_path: Path, other_process: subprocess.Popen[str]) -> None:
    other_process.kill()
    other_process.wait()
    Lease(tmp_path / "x.lock").release()


def test_a_lease_is_refused_to_another_part_of_the_same_process(tmp_path: Path) -> None:
    lease = Lease(tmp_path / "x.lock")
    with pytest.raises(LeaseTakenError):
        Lease(tmp_path / "x.lock")
    lease.release()
    lease.release()
    Lease(tmp_path / "x.lock").release()


def test_a_file_system_without_locks_is_named_as_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(file: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(place, "_lock", no_locks)
    with pytest.raises(
        JournalError, match=r"files cannot be locked in .*No locks available.*AGENTTRACE_STATE_DIR"
    ) as told:
        Lease(tmp_path / "x.lock")
    assert not isinstance(told.value, LeaseTakenError)


def test_a_lock_file_is_private(tmp_path: Path) -> None:
    lease = Lease(tmp_path / "x.lock")
    assert mode(tmp_path / "x.lock") == 0o600
    lease.release()


# ---------------------------------------------------------------------------------------------------------- orphans

RECORDS = """
import sys
from agenttrace_nb.journal.append import process_journal
from agenttrace_nb.journal.events import EventKind
journal = process_journal()
journal.append(EventKind.RUN_START, run_key="r", urgent=True)
print(journal.path, flush=True)
sys.stdin.read()
"""


def test_the_journal_of_a_dead_process_is_found_and_that_of_a_living_one_is_not(own_state_dir: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RECORDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        path = Path(process.stdout.readline().strip())
        assert path.parent == own_state_dir / "journals"
        assert orphans() == []
        process.kill()
        process.wait()
    assert orphans() == [path]
    lease = Lease(owner_lock(path))
    assert orphans() == []
    lease.release()


def test_journals_of_this_process_are_no_orphans_until_they_are_closed(own_state_dir: Path) -> None:
    journal = Journal()
    assert orphans() == []
    journal.close()
    assert orphans() == [journal.path]


def test_orphans_come_oldest_first_also_those_on_the_temporary_disk(
    tmp_path: Path, temporary_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGENTTRACE_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(place, "is_network_path", lambda path: False)
    for folder, name in ((journal_folder(), "2"), (fallback_folder(), "1"), (journal_folder(), "3")):
        (folder / f"{name}.journal").touch()
    assert [path.stem for path in orphans()] == ["1", "2", "3"]
    assert [path.stem for path in orphans(journal_folder())] == ["2", "3"]


def test_who_chose_a_folder_finds_the_orphans_of_that_folder_only(own_state_dir: Path, temporary_disk: Path) -> None:
    (fallback_folder() / "1.journal").touch()
    (journal_folder() / "2.journal").touch()
    assert [path.stem for path in orphans()] == ["2"]


def test_orphans_on_the_temporary_disk_are_found_if_the_journal_folder_cannot_be_used(
    tmp_path: Path, temporary_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fallback_folder() / "1.journal").touch()
    (tmp_path / "file").touch()
    monkeypatch.setenv("AGENTTRACE_STATE_DIR", str(tmp_path / "file"))
    assert [path.stem for path in orphans()] == ["1"]
