"""The audit trail: a tamper-evident record of what agents did, apart from MLflow, with proofs.

Examples
--------
>>> import agenttrace_nb as at
>>> at.audit.init()  # doctest: +SKIP
Audit log agenttrace-nb/2f1c… is on.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agenttrace_nb.audit.access import accesses, record_access
    from agenttrace_nb.audit.erase import erase
    from agenttrace_nb.audit.evidence import export, hand_over
    from agenttrace_nb.audit.log import AuditLog
    from agenttrace_nb.audit.pins import Pin
    from agenttrace_nb.audit.place import AuditError
    from agenttrace_nb.audit.report import Report, Verdict
    from agenttrace_nb.audit.repository import pin_of, publish
    from agenttrace_nb.audit.retention import PRESETS, expire, hold, retain
    from agenttrace_nb.audit.retrieve import find, show
    from agenttrace_nb.audit.revocation import revoke
    from agenttrace_nb.audit.switch import init, off, on, status
    from agenttrace_nb.audit.timestamps import timestamp
    from agenttrace_nb.audit.verify import verify
    from agenttrace_nb.audit.witness import Witness, cosign, pin_from

__all__ = [
    "PRESETS",
    "AuditError",
    "AuditLog",
    "Pin",
    "Report",
    "Verdict",
    "Witness",
    "accesses",
    "cosign",
    "erase",
    "expire",
    "export",
    "find",
    "hand_over",
    "hold",
    "init",
    "off",
    "on",
    "pin_from",
    "pin_of",
    "publish",
    "record_access",
    "retain",
    "revoke",
    "show",
    "status",
    "timestamp",
    "verify",
]

_HOME_OF = {
    "PRESETS": "retention",
    "AuditError": "place",
    "AuditLog": "log",
    "Pin": "pins",
    "Report": "report",
    "Verdict": "report",
    "Witness": "witness",
    "accesses": "access",
    "cosign": "witness",
    "erase": "erase",
    "expire": "retention",
    "export": "evidence",
    "find": "retrieve",
    "hand_over": "evidence",
    "hold": "retention",
    "init": "switch",
    "off": "switch",
    "on": "switch",
    "pin_from": "witness",
    "pin_of": "repository",
    "publish": "repository",
    "record_access": "access",
    "retain": "retention",
    "revoke": "revocation",
    "show": "retrieve",
    "status": "switch",
    "timestamp": "timestamps",
    "verify": "verify",
}


class _Room(ModuleType):
    """The room itself: importing the file ``verify`` must not put it in the place of the function of that name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Room


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
