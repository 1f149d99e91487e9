"""The names under which things stand in MLflow: MLflow's own, and ours."""

from __future__ import annotations

# MLflow's (mlflow.tracing.constant, mlflow.utils.mlflow_tags; a contract test holds these equal)
TRACE_ID = "mlflow.traceRequestId"
SPAN_TYPE = "mlflow.spanType"
INPUTS = "mlflow.spanInputs"
OUTPUTS = "mlflow.spanOutputs"
MESSAGE_FORMAT = "mlflow.message.format"
TOKEN_USAGE = "mlflow.chat.tokenUsage"  # noqa: S105 - no secret
TOOLS = "mlflow.chat.tools"
MODEL = "mlflow.llm.model"
COST = "mlflow.llm.cost"
SESSION_ID = "session.id"
USER_ID = "user.id"
TRACE_TAG = "mlflow.traceTag."
TRACE_NAME = "mlflow.traceName"
TRACE_SESSION = "mlflow.trace.session"
TRACE_USER = "mlflow.trace.user"
SPANS_LOCATION = "mlflow.trace.spansLocation"
PARENT_RUN_ID = "mlflow.parentRunId"
RUN_NAME = "mlflow.runName"
RUN_NOTE = "mlflow.note.content"
GIT_COMMIT = "mlflow.source.git.commit"
SOURCE_NAME = "mlflow.source.name"
SOURCE_TYPE = "mlflow.source.type"
USER = "mlflow.user"

# Ours, on spans
OURS = "agenttrace."
KIND = "agenttrace.kind"
STATUS = "agenttrace.status"
AGENT = "agenttrace.agent"
ROLE = "agenttrace.role"
TTFT_S = "agenttrace.ttft_s"
TOKENS = "agenttrace.tokens"
ERROR = "agenttrace.error"
SPAN = "agenttrace.span"
"""What else is needed to rebuild a span exactly, as one object; absent where nothing is."""
TRACE = "agenttrace.trace"
"""On the root span: what is needed to rebuild the trace exactly."""

# Ours, as tags of runs and traces
KEY = "agenttrace.key"
RUN_KEY = "agenttrace.run_key"
TRACE_STATUS = "agenttrace.status"
SUCCESS = "agenttrace.success"
FAILED_TOOLS = "agenttrace.failed_tools"


def mlflow_trace_id(trace_id: str) -> str:
    """Return MLflow's name of a trace.

    Examples
    --------
    >>> mlflow_trace_id("0" * 31 + "1")
    'tr-00000000000000000000000000000001'
    """
    return f"tr-{trace_id}"


def own_trace_id(trace_id: str) -> str:
    """Return our name of an MLflow trace.

    Examples
    --------
    >>> own_trace_id("tr-00000000000000000000000000000001")
    '00000000000000000000000000000001'
    """
    return trace_id.removeprefix("tr-")
