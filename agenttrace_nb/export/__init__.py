"""What is recorded, sent on: handlers that follow the journal to Grafana, Datadog, Splunk, Prometheus or yours."""
