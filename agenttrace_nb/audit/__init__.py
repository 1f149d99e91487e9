"""The audit trail: a tamper-evident record of what agents did, apart from MLflow, with proofs.

Examples
--------
>>> import agenttrace_nb as at
>>> at.audit.init()  # doctest: +SKIP
Audit log agenttrace-nb/2f1c… is on.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agenttrace_nb.audit.log import AuditLog
    from agenttrace_nb.audit.place import AuditError
    from agenttrace_nb.audit.switch import init, off, on, status

__all__ = ["AuditError", "AuditLog", "init", "off", "on", "status"]

_HOME_OF = {
    "AuditError": "place",
    "AuditLog": "log",
    "init": "switch",
    "off": "switch",
    "on": "switch",
    "status": "switch",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOME_OF:
        from agenttrace_nb.config import did_you_mean

        msg = f"module {__name__!r} has no attribute {name!r}.{did_you_mean(name, __all__)}"
        raise AttributeError(msg, name=name, obj=None)
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return list(__all__)
