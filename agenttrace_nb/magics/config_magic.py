"""``%config AgentTrace``: the options of `agenttrace_nb.config` as IPython shows and sets them."""

from __future__ import annotations

from typing import Any

from traitlets import TraitError, TraitType
from traitlets.config import Configurable

from agenttrace_nb.config import ABOUT, OptionError, current, set_option


class Option(TraitType[Any, Any]):
    """An option that holds nothing itself: it reads and writes `agenttrace_nb.config`."""

    def get(self, obj: Any, cls: type[Any] | None = None) -> Any:
        """Return the value in force, wherever it was set."""
        value = getattr(current(), str(self.name))
        # Profiles extend lists in place: c.AgentTrace.redact.append(...)
        return list(value) if isinstance(value, tuple) else value

    def set(self, obj: Any, value: Any) -> None:
        """Set the option for this kernel."""
        try:
            set_option(str(self.name), value)
        except OptionError as error:
            raise TraitError(str(error)) from None


_options = {name: Option(help=about).tag(config=True) for name, about in ABOUT.items()}

AgentTrace: type[Configurable] = type(
    "AgentTrace", (Configurable,), {"__doc__": "Defaults of agenttrace_nb in this kernel.", **_options}
)
