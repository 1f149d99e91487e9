"""Trace, understand, compare and prove what OpenAI Agents did, without leaving the notebook."""

from __future__ import annotations

__version__ = "0.1.0"
