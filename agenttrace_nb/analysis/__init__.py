"""What traces say: sets of them, tables, and later comparison, latency and failures."""
