"""The journal: every event of a run, appended once to a local file; everything else follows it."""
