"""Where a run's records go: tracking URI and experiment, found out in the kernel without importing ``mlflow``."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, pathname2url, proxy_bypass

_SQLITE = "sqlite:///"
_PORTS = {"http": 80, "https": 443}
_PATIENCE_S = 5.0
_FILE_STORE = (
    "MLflow's file store ({uri}) cannot hold these traces; use a database instead: unset MLFLOW_TRACKING_URI for the "
    "default, or set it to sqlite:///mlflow.db. `mlflow migrate-filestore` copies what is there."
)
_DATABRICKS = (
    "Databricks ({uri}) does not take spans with ids of their own, which resuming and replay need; "
    "set MLFLOW_TRACKING_URI to an MLflow server of version 3.4 or newer, or unset it to write to this machine."
)
_UNKNOWN = (
    "{uri!r} is no tracking URI that can be written to; MLFLOW_TRACKING_URI may begin with http://, https://, sqlite:, "
    "postgresql:, mysql: or mssql:."
)
_DATABASES = frozenset({"sqlite", "postgresql", "mysql", "mssql"})


def tracking_uri(cwd: str | Path, configured: str | None = None) -> str:
    """Return the tracking URI that a run in a folder writes to.

    MLflow's own rules, in this order: an option, what ``mlflow.set_tracking_uri`` was told, ``MLFLOW_TRACKING_URI``,
    ``mlflow.db`` in the folder. A relative SQLite path becomes absolute, so that any process finds the same file.

    Parameters
    ----------
    cwd
        The folder that the run works in.
    configured
        The option ``tracking_uri``.

    Examples
    --------
    >>> tracking_uri("/data", "sqlite:///runs.db")
    'sqlite:////data/runs.db'
    """
    return _absolute(configured or _chosen_in_mlflow() or os.environ.get("MLFLOW_TRACKING_URI") or "", Path(cwd))


def experiment(configured: str | None = None, notebook: str | None = None) -> str | None:
    """Return the experiment that a run belongs to: its name, or ``id:`` and its id, or ``None`` for MLflow's default.

    The option comes first, then the experiment that is active in MLflow, then the notebook's name.

    Examples
    --------
    >>> experiment(notebook="work/flights.ipynb")
    'flights'
    """
    if configured:
        return configured
    if name := os.environ.get("MLFLOW_EXPERIMENT_NAME"):
        return name
    # mlflow.set_experiment puts the id here as well
    if number := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return f"id:{number}"
    return Path(notebook).stem or None if notebook else None


def shown(uri: str) -> str:
    """Return a tracking URI as it may be shown: without user and password.

    Examples
    --------
    >>> shown("https://me:secret@mlflow.example/team")
    'https://mlflow.example/team'
    """
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else uri


def silence(uri: str) -> str | None:
    """Return why nothing listens at a server's address; ``None`` where something does, or nobody can tell from here.

    MLflow itself asks again and again for minutes before it says so.
    """
    parts = urlsplit(uri)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or (getproxies().get(parts.scheme) and not proxy_bypass(host)):
        return None
    try:
        with socket.create_connection((host, parts.port or _PORTS[parts.scheme]), _PATIENCE_S):
            return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return (
        f"MLflow at {shown(uri)} does not answer ({reason}). Start the server, or set MLFLOW_TRACKING_URI to another; "
        "unset, it is the database in this folder."
    )


def refusal(uri: str) -> str | None:
    """Return why a tracking URI cannot be written to, with the next step; ``None`` if it can.

    Examples
    --------
    >>> refusal("sqlite:////data/runs.db") is None
    True
    >>> refusal("databricks")[:10]
    'Databricks'
    """
    scheme = uri.partition(":")[0].partition("+")[0].lower() if ":" in uri else ""
    if uri == "databricks" or scheme in {"databricks", "databricks-uc", "uc"}:
        return _DATABRICKS.format(uri=uri)
    if scheme in {"http", "https"} | _DATABASES:
        return None
    if scheme in {"", "file"} or len(scheme) == 1:  # one letter: a drive of Windows
        return _FILE_STORE.format(uri=uri)
    return _UNKNOWN.format(uri=uri)


def _chosen_in_mlflow() -> str | None:
    mlflow = sys.modules.get("mlflow")
    try:
        if mlflow is None or not mlflow.is_tracking_uri_set():
            return None
        return str(mlflow.get_tracking_uri())
    except AttributeError:  # it is being imported at this moment
        return None


def _absolute(uri: str, cwd: Path) -> str:
    if not uri:
        uri = _SQLITE + "mlflow.db"
    path = uri.removeprefix(_SQLITE)
    if path == uri or not path or path.startswith(("/", ":memory:", "file:")) or path[1:2] == ":":
        return uri
    return f"{_SQLITE}{pathname2url(str(cwd.absolute()))}/{path}"
