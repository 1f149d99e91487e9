"""Why a run failed: what happened in it as a story, rules that read the story, and how sure their answers are."""
