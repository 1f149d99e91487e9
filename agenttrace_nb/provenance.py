"""Where a run comes from: the git commit of the folder and the versions of what took part. Runs no program."""

from __future__ import annotations

import platform
import re
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PACKAGES = ("agenttrace-nb", "openai-agents", "openai", "mlflow", "ipykernel")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MAX_LINKS = 5


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape a run, those that are installed.

    Examples
    --------
    >>> "python" in versions()
    True
    """
    return dict(_installed())


@lru_cache(maxsize=1)
def _installed() -> tuple[tuple[str, str], ...]:
    found = [("python", platform.python_version())]
    for name in _PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return tuple(found)


def git_commit(folder: Path) -> str | None:
    """Return the commit that is checked out in a folder's git repository; ``None`` where there is none.

    Whether files differ from it is not told. The layout read here is gitrepository-layout(5). A branch that names
    another one is followed; anything but a commit's hash is not passed on, so that a repository from elsewhere cannot
    name a file of this machine as its branch.

    Examples
    --------
    >>> from pathlib import Path
    >>> git_commit(Path("/no/such/folder")) is None
    True
    """
    try:
        git = _git_folder(folder.absolute())
        found = (git / "HEAD").read_text("utf-8").strip() if git is not None else ""
        for _ in range(_MAX_LINKS):
            if git is None or not found.startswith("ref: "):
                break
            found = _resolve(git, found.removeprefix("ref: "))
        return found if _COMMIT.fullmatch(found) else None
    except (OSError, ValueError):
        return None


def _git_folder(folder: Path) -> Path | None:
    for place in (folder, *folder.parents):
        git = place / ".git"
        if git.is_dir():
            return git
        if git.is_file():  # a worktree or a submodule
            return place / git.read_text("utf-8").strip().removeprefix("gitdir: ")
    return None


def _resolve(git: Path, ref: str) -> str:
    common = git / "commondir"
    homes = [git, git / common.read_text("utf-8").strip()] if common.is_file() else [git]
    for home in homes:
        if (home / ref).is_file():
            return (home / ref).read_text("utf-8").strip()
        packed = home / "packed-refs"
        for line in packed.read_text("utf-8").splitlines() if packed.is_file() else ():
            if line.endswith(f" {ref}"):
                return line.split()[0]
    return ""
