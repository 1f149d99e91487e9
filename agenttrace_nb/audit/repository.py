"""The log under version control: checkpoints and tiles in signed git commits. Never content, never keys.

A history cannot be erased, so nothing goes into it that one might have to erase: entries hold ids, times and
commitments only. Pushed to a remote that nobody here may rewrite, it is a pin.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agenttrace_nb.audit.log import AuditLog
from agenttrace_nb.audit.merkle import Tree, leaf_hash
from agenttrace_nb.audit.note import Checkpoint, Note, NoteError
from agenttrace_nb.audit.pins import Pin
from agenttrace_nb.audit.place import AuditError, made_private
from agenttrace_nb.audit.sshsig import allowed_signers, ssh_signature
from agenttrace_nb.audit.tiles import WIDTH, bundles, hash_tiles

if TYPE_CHECKING:
    from dulwich.repo import Repo

FOLDER = "repository.git"
BRANCH: Any = b"refs/heads/audit"
_HEAD: Any = b"HEAD"
_FILE_MODE = 0o100644
_AUTHOR = b"agenttrace_nb audit log <audit@localhost>"
_README = b"""Checkpoints and tiles of an audit log (RFC 6962, C2SP tlog-tiles), no content.

`checkpoint` is the signed size and root; `tile/` holds hashes and entries. Each commit is signed by the log's key:

    git config gpg.ssh.allowedSignersFile allowed_signers
    git verify-commit audit
"""


def publish(*, remote: str | None = None, folder: Path | None = None) -> str | None:
    """Commit the log as it stands to its repository, and push it where a remote is given.

    Parameters
    ----------
    remote
        Address or path of a git repository. Nothing there is ever overwritten: a remote that contradicts is an error.
    folder
        The log; by default that of this user.

    Returns
    -------
    str or None
        The id of the new commit; ``None`` if there was nothing new.

    Raises
    ------
    AuditError
        If the remote does not take it.

    Examples
    --------
    >>> publish(remote="git@host:team/audit.git")  # doctest: +SKIP
    """
    with contextlib.closing(AuditLog(folder)) as log:
        repository = _opened(log.folder / FOLDER)
        with contextlib.closing(repository):
            commit = _commit(repository, log)
            if remote is not None:
                _push(repository, remote)
    return commit


def pin_of(remote: str) -> Pin:
    """Return the checkpoint that a git repository holds, as a pin.

    Raises
    ------
    AuditError
        If it cannot be read, or holds none.
    """
    from dulwich.client import get_transport_and_path
    from dulwich.repo import Repo

    try:
        with tempfile.TemporaryDirectory() as place, contextlib.closing(Repo.init_bare(place)) as copy:
            client, path = get_transport_and_path(remote)
            head = client.fetch(path, copy).refs[BRANCH]
            _, blob = _file(copy, head, b"checkpoint")
            text = blob.decode("utf-8")
            outside = not (Path(remote).parent / "log.db").exists()
            return Pin(Checkpoint.parse(Note.parse(text).text), text, f"the git repository {remote}", outside)
    except (NoteError, KeyError) as error:
        msg = f"{remote} holds no branch 'audit' with a checkpoint ({error})"
        raise AuditError(msg) from error
    except Exception as error:
        msg = f"the git repository {remote} cannot be read ({type(error).__name__}: {error})"
        raise AuditError(msg) from error


def _opened(path: Path) -> Repo:
    from dulwich.repo import Repo

    if (path / "HEAD").exists():
        return Repo(str(path))
    made = Repo.init_bare(str(made_private(path)))
    made.refs.set_symbolic_ref(_HEAD, BRANCH)
    return made


def _commit(repository: Repo, log: AuditLog) -> str | None:
    from dulwich.index import commit_tree
    from dulwich.object_store import iter_tree_contents
    from dulwich.objects import Blob, Commit

    tip = log.vault.tip()
    parent: Any = repository.refs.read_ref(BRANCH)
    kept: dict[bytes, Any] = {}
    since = 0
    if parent is not None:
        tree_id, last = _file(repository, parent, b"checkpoint")
        since = Checkpoint.parse(Note.parse(last).text).size
        kept = {entry.path: entry.sha for entry in iter_tree_contents(repository.object_store, tree_id)}
    if tip is None or tip.size <= since:
        return None
    files = dict(_files(log, tip.size, since))
    # Tiles that were not full are replaced by what they have grown to
    kept = {path: sha for path, sha in kept.items() if b".p/" not in path}
    for path, data in files.items():
        blob = Blob.from_string(data)
        repository.object_store.add_object(blob)
        kept[path.encode()] = blob.id
    commit = Commit()
    commit.tree = commit_tree(repository.object_store, [(path, sha, _FILE_MODE) for path, sha in kept.items()])
    commit.parents = [parent] if parent is not None else []
    commit.author = commit.committer = _AUTHOR
    commit.author_time = commit.commit_time = int(time.time())
    commit.author_timezone = commit.commit_timezone = 0
    commit.encoding = b"UTF-8"
    commit.message = f"Checkpoint of {tip.size} entries\n".encode()
    commit.gpgsig = ssh_signature(commit.as_raw_string(), log.keys.log(), "git").rstrip("\n").encode()
    repository.object_store.add_object(commit)
    if parent is None:
        swapped = repository.refs.add_if_new(BRANCH, commit.id)
    else:
        swapped = repository.refs.set_if_equals(BRANCH, parent, commit.id)
    # Otherwise another process has committed meanwhile, and does so again with what is new
    return commit.id.decode() if swapped else None


def _files(log: AuditLog, size: int, since: int) -> list[tuple[str, bytes]]:
    rows = [entry for _, entry in log.vault.entries(0, size)]
    tree = Tree([leaf_hash(entry) for entry in rows])
    first = since // WIDTH * WIDTH
    return [
        ("checkpoint", (log.vault.checkpoint(size) or "").encode()),
        ("anchor", f"{log.anchor()}\n".encode()),
        ("log.vkey", f"{log.verifier()}\n".encode()),
        ("allowed_signers", allowed_signers("audit@localhost", log.keys.log().public).encode()),
        ("README", _README),
        *hash_tiles(tree, since),
        *bundles(rows[first:], first),
    ]


def _file(repository: Repo, commit_id: Any, path: bytes) -> tuple[Any, bytes]:
    """Return the tree of a commit, and a file in it."""
    from dulwich.object_store import tree_lookup_path

    commit: Any = repository.object_store[commit_id]
    _, blob_id = tree_lookup_path(repository.object_store.__getitem__, commit.tree, path)
    blob: Any = repository.object_store[blob_id]
    return commit.tree, blob.data


def _push(repository: Repo, remote: str) -> None:
    from dulwich import porcelain

    silent = io.BytesIO()
    try:
        porcelain.push(repository, remote, BRANCH + b":" + BRANCH, outstream=silent, errstream=silent)
    except Exception as error:
        msg = (
            f"{remote} does not take the log ({type(error).__name__}: {error}). Nothing there was overwritten; if it "
            "holds another history, run verify with it as a pin"
        )
        raise AuditError(msg) from error
