"""The journal's words for what is written with every span; to read one off its enumeration each time costs more."""

from __future__ import annotations

from agenttrace_nb.spans import SpanKind, Status

OK = Status.OK.value
ERROR = Status.ERROR.value
CANCELLED = Status.CANCELLED.value
KINDS = {kind: kind.value for kind in SpanKind}
LLM = SpanKind.LLM.value
MEMORY = SpanKind.MEMORY.value
TOOL = SpanKind.TOOL.value
WORKFLOW = SpanKind.WORKFLOW.value
