"""Figures of a run, kept up to date row by row: counting ten thousand spans anew ten times a second would be felt."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from agenttrace_nb.spans import SpanKind

if TYPE_CHECKING:
    from agenttrace_nb.spans import Span


class _Share(NamedTuple):
    """What one row adds."""

    kind: SpanKind
    agent: str | None = None
    tokens: int | None = None
    cost_usd: float | None = None


_ONE_OF = {kind: _Share(kind) for kind in SpanKind}


class Tally:
    """Counts kinds and agents, and sums tokens and cost of LLM calls."""

    def __init__(self) -> None:
        self.kinds: Counter[SpanKind] = Counter()
        self._shares: list[_Share | None] = []
        self._agents: Counter[str] = Counter()
        self._with_tokens = 0
        self._tokens = 0
        self._with_cost = 0
        self._cost_usd = 0.0

    def put(self, row: int, span: Span) -> None:
        """Count a row, or count it anew."""
        while len(self._shares) <= row:
            self._shares.append(None)
        before, after = self._shares[row], _share(span)
        if before == after:
            return
        if before is not None:
            self._add(before, -1)
        self._add(after, 1)
        self._shares[row] = after

    @property
    def agents(self) -> int:
        """Number of different agents."""
        return sum(count > 0 for count in self._agents.values())

    @property
    def tokens(self) -> int | None:
        """Tokens in and out of all LLM calls; ``None`` if no call knows them."""
        return self._tokens if self._with_tokens else None

    @property
    def cost_usd(self) -> float | None:
        """Cost of all LLM calls; ``None`` if no call knows it."""
        return self._cost_usd if self._with_cost else None

    def _add(self, share: _Share, sign: int) -> None:
        self.kinds[share.kind] += sign
        if share.agent is not None:
            self._agents[share.agent] += sign
        if share.tokens is not None:
            self._with_tokens += sign
            self._tokens += sign * share.tokens
        if share.cost_usd is not None:
            self._with_cost += sign
            self._cost_usd += sign * share.cost_usd


def _share(span: Span) -> _Share:
    if span.kind is SpanKind.AGENT:
        return _Share(span.kind, agent=span.agent or span.name)
    if span.kind is not SpanKind.LLM:
        return _ONE_OF[span.kind]
    known = [n for n in (span.input_tokens, span.output_tokens) if n is not None]
    return _Share(span.kind, tokens=sum(known) if known else None, cost_usd=span.cost_usd)
