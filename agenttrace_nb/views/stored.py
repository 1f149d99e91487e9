"""Where a run is in MLflow: an address where there is a server, else what starts one."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

from agenttrace_nb.spans import CellRun, Trace


def where(run: CellRun | Trace, run_id: str | None = None, experiment_id: str | None = None) -> dict[str, str] | None:
    """Return what a view says of the run's place in MLflow; ``None`` where nothing is known.

    Parameters
    ----------
    run
        A cell run, or a trace on its own.
    run_id, experiment_id
        The MLflow run and its experiment, where the caller knows them.

    Returns
    -------
    dict
        ``run_id`` and ``experiment_id``; ``url``, the server's address without user and password, where the store is
        one; ``command``, which starts a server on the store, where it is a database.

    Examples
    --------
    >>> where(CellRun(key="k", name="n", start_ns=0, tracking_uri="http://user:word@127.0.0.1:5000"), "abc")
    {'run_id': 'abc', 'url': 'http://127.0.0.1:5000/'}
    """
    found = {}
    if run_id := run_id or run.run_id:
        found["run_id"] = run_id
    if experiment_id := experiment_id or (run.experiment_id if isinstance(run, Trace) else None):
        found["experiment_id"] = experiment_id
    uri = run.tracking_uri
    if uri and (url := _server(uri)):
        found["url"] = url
    elif uri and uri.startswith("sqlite:"):
        found["command"] = f"mlflow ui --backend-store-uri {shlex.quote(uri)}"
    return found or None


def _server(uri: str) -> str | None:
    try:
        parts = urlsplit(uri)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}/"
