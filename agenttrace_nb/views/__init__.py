"""What people see: the live trace view, its static twin, the text tree and the page."""

from __future__ import annotations
