"""Metrics read back from Prometheus, Grafana, Datadog and Splunk, beside the runs they belong to."""
