"""Text written by models, tools and users, made safe to show. Every view takes such text through here.

Nothing is interpreted: escape sequences, control characters and marks that reorder or hide text are taken out, halves
of surrogate pairs become U+FFFD.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from typing import Any

from agenttrace_nb.journal.encode import encode

ELLIPSIS = "…"
AS_WRITTEN = "mathjax_ignore tex2jax_ignore"
"""Classes of what notebooks are not to typeset: what stands between two dollars would be taken for mathematics."""

_ANSI = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # OSC, DCS, SOS, PM, APC: titles, links, clipboard
    r"|[ -/]*[0-~]?)"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\ufeff\ufff9-\ufffb]")
_REORDERING = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Text that a model reads and a person does not see. The joiners stay: emoji and many scripts need them.
_HIDING = re.compile(r"[\u200b\u2060-\u2064\U000e0000-\U000e007f]")
_LINE_END = re.compile(r"\r\n?|[\u2028\u2029]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_SPACE = re.compile(r"\s+")


def plain(text: str) -> str:
    r"""Return the text without anything that a terminal or a browser would act upon.

    Line ends become ``\n``; tabs stay.

    Examples
    --------
    >>> plain("\x1b[31mred\x1b[0m\x07 \u202eabc")
    'red abc'
    """
    text = _ANSI.sub("", text) if "\x1b" in text or "\x9b" in text else text
    text = _LINE_END.sub("\n", text)
    text = _CONTROL.sub("", text)
    text = _REORDERING.sub("", text)
    text = _HIDING.sub("", text)
    return _SURROGATE.sub("\ufffd", text)


def one_line(text: str, limit: int) -> str:
    r"""Return the text on one line, at most ``limit`` characters long.

    Examples
    --------
    >>> one_line("two\n  lines", 20)
    'two lines'
    >>> one_line("abcdefgh", 5)
    'abcd…'
    """
    if len(text) <= limit and text.isprintable() and "  " not in text and text[:1] != " " != text[-1:]:
        return text
    # A long text is cut before it is cleaned: cleaning ten megabytes for one line would be felt.
    short = _SPACE.sub(" ", plain(text[: 8 * limit + 64])).strip()
    return short if len(short) <= limit and len(text) <= 8 * limit + 64 else clip(short, limit, cut=True)


def clip(text: str, limit: int, *, cut: bool = False) -> str:
    """Return at most ``limit`` characters; an ellipsis stands for the rest."""
    return text[: limit - 1] + ELLIPSIS if cut or len(text) > limit else text


def escaped(text: str) -> str:
    """Return the text for HTML, between tags or in a quoted attribute.

    Examples
    --------
    >>> escaped('<img src="x">')
    '&lt;img src=&quot;x&quot;&gt;'
    """
    return html.escape(plain(text), quote=True)


def width(text: str) -> int:
    r"""Return the columns that a text takes in a terminal; wide East Asian letters and emoji take two.

    Examples
    --------
    >>> width("tokyo"), width("東京"), width("e\u0301")
    (5, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """Return the text cut to so many terminal columns."""
    if width(text) <= columns:
        return text
    kept, used = [], 1
    for letter in text:
        used += _columns(letter)
        if used > columns:
            break
        kept.append(letter)
    return "".join(kept) + ELLIPSIS


def readable(value: Any) -> str:
    """Return a value as people read it: a text as it is, anything else as indented JSON.

    Examples
    --------
    >>> readable("a note")
    'a note'
    """
    if isinstance(value, str):
        return plain(value)
    # Encoded first: what JSON cannot hold is named there, absurd depth is cut.
    return plain(json.dumps(json.loads(encode(value)), ensure_ascii=False, indent=2))
