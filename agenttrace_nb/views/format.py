"""Figures as people read them. ``js/src/core/format.ts`` says the same; golden cases hold the two together."""

from __future__ import annotations

NARROW_SPACE = "\u202f"
UNKNOWN = "–"


def seconds(value: float | None) -> str:
    """Return a duration.

    Examples
    --------
    >>> [seconds(v) for v in (None, 0, 0.0004, 0.004, 0.64, 12.3, 102, 3720)]
    ['–', '0 s', '0.4 ms', '4 ms', '0.64 s', '12.30 s', '1 m 42 s', '1 h 02 m']
    """
    if value is None:
        return UNKNOWN
    if value < 59.995:  # noqa: PLR2004 - rounds to one minute from here
        return _short(value)
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} m {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} m"  # noqa: PLR2004


def _short(value: float) -> str:
    ms = value * 1000
    if ms < 0.05:  # noqa: PLR2004 - rounds to 0.0 ms
        return "0 s"
    if ms < 0.95:  # noqa: PLR2004 - rounds to 1 ms from here
        return f"{ms:.1f} ms"
    if ms < 9.5:  # noqa: PLR2004 - rounds to 0.01 s from here
        return f"{ms:.0f} ms"
    return f"{value:.2f} s"


def count(value: float | None) -> str:
    """Return a number of tokens or calls, short.

    Examples
    --------
    >>> [count(v) for v in (None, 812, 1234, 18200, 999_960, 3_400_000)]
    ['–', '812', '1.2k', '18.2k', '1.0M', '3.4M']
    """
    if value is None:
        return UNKNOWN
    if value < 1000:  # noqa: PLR2004
        return str(round(value))
    if value < 999_950:  # noqa: PLR2004 - rounds to one million from here
        return f"{value / 1000:.1f}k"
    return f"{value / 1_000_000:.1f}M"


def grouped(value: int) -> str:
    r"""Return a number with its thousands apart.

    Examples
    --------
    >>> grouped(812), grouped(1034)
    ('812', '1\u202f034')
    """
    return f"{value:,}".replace(",", NARROW_SPACE)


def usd(value: float | None) -> str:
    """Return a cost, two figures below a dollar.

    Examples
    --------
    >>> [usd(v) for v in (None, 0, 0.00001, 0.0314, 0.9, 1.239)]
    ['–', '$0', '<$0.0001', '$0.031', '$0.90', '$1.24']
    """
    if value is None:
        return UNKNOWN
    if value == 0:
        return "$0"
    if value < 0.0001:  # noqa: PLR2004
        return "<$0.0001"
    if value >= 0.1:  # noqa: PLR2004
        return f"${value:.2f}"
    digits = 3
    while round(value, digits) < 10 ** (1 - digits) and digits < 5:  # noqa: PLR2004
        digits += 1
    return f"${value:.{digits}f}"


def plural(number: int, word: str) -> str:
    """Return the word for that many.

    Examples
    --------
    >>> plural(1, "turn"), plural(2, "turn")
    ('turn', 'turns')
    """
    return word if number == 1 else f"{word}s"
