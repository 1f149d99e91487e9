"""Any Prometheus that Grafana knows, asked through Grafana and its permissions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agenttrace_nb.config import OptionError
from agenttrace_nb.sources.http import checked_url
from agenttrace_nb.sources.prometheus import PrometheusSource

if TYPE_CHECKING:
    from collections.abc import Mapping

_UID = re.compile(r"[A-Za-z0-9_-]{1,40}")


class GrafanaSource(PrometheusSource):
    """Range queries in PromQL to a data source of Grafana that speaks it (Prometheus, Mimir, VictoriaMetrics)."""

    kind = "Grafana"
    options: Mapping[str, str] = {
        "url": "Grafana's address",
        "datasource": "uid of the data source: the last part of its page's address in Grafana",
        "token": "reference to a token of a service account that may query",
        **{name: PrometheusSource.options[name] for name in ("user", "password", "headers", "ca_file")},
    }
    required = frozenset({"url", "datasource"})

    def address(self, options: Mapping[str, Any]) -> str:
        """Return the address of the data source behind Grafana's proxy."""
        uid = options["datasource"]
        if not isinstance(uid, str) or not _UID.fullmatch(uid):
            raise OptionError(f"datasource={uid!r} is not allowed; it must be a uid: letters, digits, - and _")
        return f"{checked_url(options['url'])}/api/datasources/proxy/uid/{uid}"
