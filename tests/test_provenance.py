"""Where a run comes from: the commit that git itself names, and versions that are really installed."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from agenttrace_nb.provenance import git_commit, versions

if TYPE_CHECKING:
    from pathlib import Path

OUTSIDE = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
SETTINGS = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=folder, env=OUTSIDE | SETTINGS, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def head(folder: Path) -> str:
    return git(folder, "rev-parse", "HEAD")


def test_the_commit_is_the_one_that_git_names(repository: Path) -> None:
    assert git_commit(repository) == head(repository)


def test_a_folder_inside_the_repository_has_its_commit(repository: Path) -> None:
    inner = repository / "a" / "b"
    inner.mkdir(parents=True)
    assert git_commit(inner) == head(repository)


def test_a_relative_folder_is_one_of_the_working_directory(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    monkeypatch.chdir(repository)
    assert git_commit(Path()) == head(repository)


def test_a_packed_branch_is_found(repository: Path) -> None:
    git(repository, "pack-refs", "--all")
    assert not (repository / ".git/refs/heads/main").exists()
    assert git_commit(repository) == head(repository)


def test_a_branch_with_slashes_in_its_name_is_found(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "a/b")
    git(repository, "commit", "-q", "--allow-empty", "-m", "second")
    assert git_commit(repository) == head(repository)


def test_a_detached_head_is_its_commit(repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    assert git_commit(repository) == head(repository)


@pytest.mark.parametrize("packed", [False, True])
def test_a_worktree_has_its_own_commit(repository: Path, tmp_path: Path, packed: bool) -> None:
    other = tmp_path / "other"
    git(repository, "worktree", "add", "-q", "-b", "side", str(other))
    git(other, "commit", "-q", "--allow-empty", "-m", "on the side")
    if packed:
        git(repository, "pack-refs", "--all")
    assert head(other) != head(repository)
    assert git_commit(other) == head(other)
    assert git_commit(repository) == head(repository)


def test_a_submodule_has_its_own_commit(repository: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(repository), "inner")
    git(outer, "commit", "-q", "-m", "with inner")
    assert git_commit(outer / "inner") == head(repository)
    assert git_commit(outer) == head(outer)


def test_a_branch_that_names_another_branch_is_followed(repository: Path) -> None:
    git(repository, "symbolic-ref", "refs/heads/alias", "refs/heads/main")
    (repository / ".git/HEAD").write_text("ref: refs/heads/alias\n")
    assert git_commit(repository) == head(repository)


def test_branches_that_name_each_other_have_no_commit(repository: Path) -> None:
    heads = repository / ".git/refs/heads"
    (heads / "a").write_text("ref: refs/heads/b\n")
    (heads / "b").write_text("ref: refs/heads/a\n")
    (repository / ".git/HEAD").write_text("ref: refs/heads/a\n")
    assert git_commit(repository) is None


def test_a_branch_without_commits_has_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert git_commit(tmp_path) is None


def test_outside_of_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None


def test_a_hostile_head_names_no_file_of_this_machine(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    (repository / ".git/HEAD").write_text("ref: ../../secret\n")
    assert git_commit(repository) is None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"ref: \n", b"not a hash\n", b"ref: refs/heads/gone\n", b"\0"])
def test_a_broken_head_is_no_commit_and_no_error(repository: Path, content: bytes) -> None:
    (repository / ".git/HEAD").write_bytes(content)
    assert git_commit(repository) is None


def test_a_git_file_that_points_nowhere_is_no_error(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /no/such/place\n")
    assert git_commit(tmp_path) is None


def test_versions_are_those_installed() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["openai-agents"] == version("openai-agents")
    assert found["mlflow"] == version("mlflow")


def test_a_package_that_is_missing_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    from agenttrace_nb import provenance

    monkeypatch.setattr(provenance, "_PACKAGES", ("no-such-package-here",))
    provenance._installed.cache_clear()
    try:
        assert set(versions()) == {"python"}
    finally:
        provenance._installed.cache_clear()


def test_whoever_changes_the_versions_changes_only_their_copy() -> None:
    versions()["python"] = "1.5"
    assert versions()["python"] == platform.python_version()
