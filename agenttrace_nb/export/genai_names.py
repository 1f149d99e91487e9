"""The names of OpenTelemetry's conventions for generative AI, in the version that is sent; and ours beside them.

The conventions are in development and names change between releases. So they are written down here once, with the
release that they are from, and not taken from a library that changes them under us. Source: the page "Semantic
Conventions for GenAI agent and framework spans" and its neighbours, ``docs/gen-ai/`` of
``open-telemetry/semantic-conventions`` at this release, the last before they moved to a repository of their own.
"""

from __future__ import annotations

CONVENTIONS_VERSION = "1.41.0"
SCHEMA_URL = f"https://opentelemetry.io/schemas/{CONVENTIONS_VERSION}"
MAPPING_VERSION = "1"
"""Raised when what we make of a span changes; sent as an attribute of the instrumentation scope."""

# Operations
INVOKE_WORKFLOW = "invoke_workflow"
INVOKE_AGENT = "invoke_agent"
EXECUTE_TOOL = "execute_tool"
CHAT = "chat"
LIST_TOOLS = "tools/list"
CALL_TOOL = "tools/call"

# Attributes
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
CONVERSATION = "gen_ai.conversation.id"
WORKFLOW_NAME = "gen_ai.workflow.name"
AGENT_NAME = "gen_ai.agent.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_DESCRIPTION = "gen_ai.tool.description"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
SERVICE_TIER = "openai.response.service_tier"
MCP_METHOD = "mcp.method.name"
USER_ID = "user.id"

REQUEST_SETTINGS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
}
"""Settings of the SDK that the conventions have a name for."""

# Ours: what the conventions have no name for
OURS = "agenttrace."
KIND = "agenttrace.span.kind"
STATUS = "agenttrace.status"
RUN = "agenttrace.run"
ARCH = "agenttrace.arch"
CASE = "agenttrace.case"
TRIAL = "agenttrace.trial"
ROLE = "agenttrace.agent.role"
TURN = "agenttrace.turn"
COST_USD = "agenttrace.cost_usd"
TEST = "agenttrace.test"
TAG = "agenttrace.tag."
HANDOFF_FROM = "agenttrace.handoff.from"
HANDOFF_TO = "agenttrace.handoff.to"
GUARDRAIL_NAME = "agenttrace.guardrail.name"
GUARDRAIL_TRIGGERED = "agenttrace.guardrail.triggered"
GUARDRAIL_INFO = "agenttrace.guardrail.output_info"
MCP_SERVER = "agenttrace.mcp.server"
MEMORY_OPERATION = "agenttrace.memory.operation"
MEMORY_SESSION = "agenttrace.memory.session"
MEMORY_ITEMS = "agenttrace.memory.items"
SDK_TYPE = "agenttrace.sdk.type"
DATA = "agenttrace.data"
INPUT = "agenttrace.input"
OUTPUT = "agenttrace.output"

PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "gemini": "gcp.gemini",
    "groq": "groq",
    "mistral": "mistral_ai",
    "openai": "openai",
    "perplexity": "perplexity",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""The conventions' name of a provider, by what stands before the slash in a model's name (as LiteLLM writes it)."""
DEFAULT_PROVIDER = "openai"
"""What the conventions ask for where OpenAI's client speaks to somebody else and nobody knows to whom."""
