"""A small MCP server over stdio, started by the scenarios as ``python mcp_server.py``."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer

server = MCPServer("letters", log_level="CRITICAL")


@server.tool()
def count_letters(text: str) -> int:
    """Count the letters of a text."""
    return sum(map(str.isalpha, text))


@server.tool()
def fail_politely(code: int) -> str:
    """Fail as a tool of an MCP server does."""
    raise ValueError(f"code {code} is not known")


@server.tool()
def random_number() -> int:
    """Return a number that is not random."""
    return 4


if __name__ == "__main__":
    server.run("stdio")
