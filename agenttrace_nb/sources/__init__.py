"""Metrics read back from Prometheus, Grafana, Datadog, Splunk and others, and stored in MLflow."""

from __future__ import annotations

from agenttrace_nb.sources.source import Query, Sample, Series, Source, SourceError

__all__ = ["Query", "Sample", "Series", "Source", "SourceError"]
