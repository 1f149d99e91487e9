"""Default function tools made from declarations, and an MCP server, which answer and fail as they are told."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from agents import FunctionTool, function_tool
from agents.mcp import MCPServer
from agents.tool_context import ToolContext
from mcp import types

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT_S = 0.05
SLOW_S = 0.7
_TYPES = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list, "object": dict}


@dataclass(frozen=True)
class Answer:
    """What a tool does when it is called: returns a value, raises, or takes its time."""

    value: Any = None
    error: BaseException | None = None
    delay_s: float = 0.0


Answers = "dict[str, Answer]"


async def _give(answer: Answer) -> Any:
    if answer.delay_s:
        await asyncio.sleep(answer.delay_s)
    if answer.error is not None:
        raise answer.error
    return answer.value


def tool(
    declaration: dict[str, Any], answer_of: Callable[[str, str], Answer], *, timeout: bool = False
) -> FunctionTool:
    """Return a tool as ``function_tool`` makes it: the SDK checks its arguments and words its errors.

    Parameters
    ----------
    declaration
        ``name``, ``description`` and ``parameters`` (JSON schema).
    answer_of
        What it does on a call, by the tool's name and the call's id.
    timeout
        Whether it is stopped after `TIMEOUT_S`.
    """
    name = declaration["name"]

    async def invoke(context: ToolContext[Any], **_: Any) -> Any:
        return await _give(answer_of(name, context.tool_call_id))

    schema = declaration["parameters"]
    kinds = {key: _type(of, key in schema.get("required", ())) for key, of in schema["properties"].items()}
    invoke.__annotations__ = {"context": ToolContext[Any], **kinds}
    invoke.__signature__ = inspect.Signature([
        inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=ToolContext[Any]),
        *(
            inspect.Parameter(
                key, inspect.Parameter.KEYWORD_ONLY, annotation=kind,
                default=inspect.Parameter.empty if key in schema.get("required", ()) else None,
            )
            for key, kind in kinds.items()
        ),
    ])  # fmt: skip
    made = function_tool(
        invoke, name_override=name, description_override=declaration["description"], strict_mode=False,
        **({"timeout": TIMEOUT_S} if timeout else {}),
    )  # fmt: skip
    made.params_json_schema = schema
    return made


def _type(of: dict[str, Any], required: bool) -> Any:
    kind = Literal[tuple(of["enum"])] if "enum" in of else _TYPES.get(of.get("type", ""), Any)
    return kind if required else kind | None


class ToolServer(MCPServer):
    """An MCP server of this process."""

    def __init__(self, declarations: list[dict[str, Any]], answer_of: Callable[[str], Answer]) -> None:
        super().__init__()
        self._declarations = declarations
        self._answer_of = answer_of

    @property
    def name(self) -> str:
        return "records"

    async def connect(self) -> None:
        """Nothing to connect to."""

    async def cleanup(self) -> None:
        """Nothing to clean up."""

    async def list_tools(self, run_context: Any = None, agent: Any = None) -> list[types.Tool]:
        return [
            types.Tool(name=d["name"], description=d["description"], input_schema=d["parameters"])
            for d in self._declarations
        ]

    async def call_tool(self, tool_name: str, arguments: Any, meta: Any = None) -> types.CallToolResult:
        answer = self._answer_of(tool_name)
        if answer.error is not None and not isinstance(answer.error, LookupError):
            raise answer.error
        text = str(answer.error.args[0]) if answer.error is not None else str(answer.value)
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)], is_error=answer.error is not None
        )

    async def list_prompts(self) -> Any:
        raise NotImplementedError

    async def get_prompt(self, name: str, arguments: Any = None) -> Any:
        raise NotImplementedError
