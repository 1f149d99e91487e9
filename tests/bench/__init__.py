"""The test bench: scripted models, a loopback OpenAI server, scenarios with golden trees, recorded conversations.

It depends on openai-agents, openai and mcp only and never on the package under test, so that what it expects is
independent of what it checks.
"""

from __future__ import annotations
