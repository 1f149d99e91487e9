"""Secrets that are known by their name, in texts: JSON in JSON, Python's notation, assignments, headers.

In a text that is JSON inside JSON, quotes have backslashes: one inside a string, three inside a string in it, and so
on, 2**depth - 1. What begins with a quote of N backslashes ends with the next quote whose backslashes leave N when
divided by 2 (N + 1); more of them stand for a quote, or a backslash, that is part of the text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.secret_forms import MARK

if TYPE_CHECKING:
    from collections.abc import Callable

_SECRET = re.compile(
    r"(?:(?:api|access|account|shared|signing|encryption|private|secret)_?key|secret|passw(?:or)?d|passphrase"
    r"|(?:^|_)(?:authorization|credentials?|cookies?)"
    r"|(?:^|_)(?:access|api|app|auth|bearer|bot|client|csrf|deploy|github|gitlab|hf|id|identity|jwt|npm|oauth|personal"
    r"|pypi|refresh|sas|secret|security|service|session|slack|user|vault|xsrf)_?token)\Z"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATOR = re.compile(r"[-. ]+")


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Tell whether the value of this name is a secret.

    Examples
    --------
    >>> [is_secret_name(n) for n in ("apiKey", "X-Api-Key", "OPENAI_API_KEY", "max_tokens", "next_page_token")]
    [True, True, True, False, False]
    """
    return _SECRET.search(_SEPARATOR.sub("_", _CAMEL.sub("_", name)).lower()) is not None


# What may stand between a name and its value, or its end, as it is in encoded JSON.
_THEN = rb"(?:\\*+[\"'])?+(?:\s|\\++[nrt])*+[:=,}]"
GATES = tuple(
    re.compile(word + _THEN).search
    for word in (rb"k(?:ey|en|ies?)", rb"pass(?:w(?:or)?d|phrase)", rb"secret", rb"authorization", rb"credentials?")
)
"""One of these is found in every encoded text, in lower case, that has a secret name in it."""

_SCHEMA_TYPES = frozenset({"string", "integer", "number", "boolean", "object", "array", "null"})
_SCHEMA_KEYS = frozenset({"$ref", "anyOf", "allOf", "oneOf"})


def is_schema(value: dict[str, Any]) -> bool:
    """Tell whether a mapping describes a value (JSON schema), as under the name of a tool's parameter."""
    kind = value.get("type")
    return (isinstance(kind, str) and kind in _SCHEMA_TYPES) or not _SCHEMA_KEYS.isdisjoint(value)


# Quantifiers are possessive, and runs of backslashes are taken from their beginning: what a tool wrote may be made to
# keep a search busy.
_GAP = r"(?:\s|\\++[nrt])*+"
_QUOTED = re.compile(
    rf"(?<!\\)(?P<slashes>\\*+)(?P<quote>[\"'])(?P<name>[\w.\- ]{{2,64}})(?P=slashes)(?P=quote){_GAP}(?::|=>?){_GAP}"
)
_ASSIGNED = re.compile(r"(?:(?<![\w.\\])|(?<=\\[nrt]))(?P<name>[A-Za-z_][\w.-]{1,63}+)\s{0,3}=\s{0,3}(?![=>~])")
_HEADER = re.compile(
    r"(?i)(?<![\w-])(?P<name>(?:proxy-)?authorization|x-[\w-]{0,40}?(?:key|token|secret)|api-key|(?:set-)?cookie)"
    r"[ \t]{0,3}:[ \t]{0,3}(?:(?:bearer|basic|token|digest|apikey)[ \t]+)?(?=\S{8})"
)
_QUOTE = re.compile(r"(?P<slashes>\\*+)(?P<quote>[\"'])")
_QUOTES = {quote: re.compile(rf"(?<!\\)(\\*+){quote}") for quote in "\"'"}
_BRACKET = re.compile(r"(?<!\\)(?P<slashes>\\*+)(?P<quote>[\"'])|(?P<bracket>[\[\]{}])")
_SCHEMA = re.compile(
    rf"\\*[\"'](?:type\\*[\"']\s*:\s*\\*[\"'](?:{'|'.join(sorted(_SCHEMA_TYPES))})|\$ref|anyOf|allOf|oneOf)\\*[\"']"
)
_NUMBER = re.compile(r"-?\d[\d.eE+-]*+")
_WORD = re.compile(r"[^\s&\"'`<>,;()\[\]{}|\\]++(?![(\[])")
_HEADER_WORD = re.compile(r"[^\s\"'\\]++")
_LINE_END = re.compile(r"[ \t]*+(?:[\"'\\\r\n]|\Z)")
_REST_OF_LINE = re.compile(r"[^\r\n\"'\\]++")
_DIGIT = re.compile(r"\d")
_NOTHING = frozenset({"none", "null", "nil", "true", "false", "undefined"})

Place = tuple[int, int, str]


def clean_named(text: str) -> str:
    r"""Return a text without the values of secret names.

    Examples
    --------
    >>> print(clean_named(r'{"password": "x", "inner": "{\"api_key\": \"y\"}"} passwd=z'))
    {"password": "[redacted]", "inner": "{\"api_key\": \"[redacted]\"}"} passwd=[redacted]
    """
    for pattern, value_of in ((_QUOTED, _quoted_value), (_ASSIGNED, _assigned_value), (_HEADER, _header_value)):
        text = _sweep(text, pattern, value_of)
    return text


def _sweep(text: str, pattern: re.Pattern[str], value_of: Callable[[str, re.Match[str]], Place | None]) -> str:
    parts: list[str] = []
    kept = at = 0
    while (match := pattern.search(text, at)) is not None:
        found = value_of(text, match)
        if found is None:
            at = match.end()
            continue
        start, at, instead = found
        parts += (text[kept:start], instead)
        kept = at
    return "".join([*parts, text[kept:]]) if parts else text


def _quoted_value(text: str, match: re.Match[str]) -> Place | None:
    if not is_secret_name(match["name"]):
        return None
    at, slashes = match.end(), match["slashes"]
    string = _string(text, at)
    if string is not None:
        return string
    instead = f"{slashes}{match['quote']}{MARK}{slashes}{match['quote']}"
    if text[at : at + 1] in ("{", "["):
        end = _bracket_end(text, at, len(slashes))
        is_empty = not text[at + 1 : end - 1].strip()
        return None if is_empty or _SCHEMA.search(text, at, end) else (at, end, instead)
    number = _NUMBER.match(text, at)
    return (at, number.end(), instead) if number else None


def _assigned_value(text: str, match: re.Match[str]) -> Place | None:
    if not is_secret_name(match["name"]):
        return None
    string = _string(text, match.end())
    if string is not None:
        return string
    word = _WORD.match(text, match.end())
    # In a program, `password=password` and `api_key=self.api_key` give nothing away.
    if word is None or word[0].lower() in _NOTHING or is_secret_name(word[0]):
        return None
    return word.start(), word.end(), MARK


def _header_value(text: str, match: re.Match[str]) -> Place | None:
    word = _HEADER_WORD.match(text, match.end())
    if word is None:
        return None
    start, end = word.span()
    if match["name"].lower().endswith("cookie"):
        rest = _REST_OF_LINE.match(text, start) if "=" in word[0] else None
        return (start, rest.end(), MARK) if rest else None
    # "Authorization: the customer must ..." is a sentence.
    if _LINE_END.match(text, end) or _DIGIT.search(text, start, end):
        return start, end, MARK
    return end, end, ""


def _string(text: str, at: int) -> Place | None:
    """Return where the inside of the string that begins here is; ``None`` if none begins, or an empty one."""
    opening = _QUOTE.match(text, at)
    if opening is None:
        return None
    start, slashes = opening.end(), len(opening["slashes"])
    end = len(text)
    for closing in _QUOTES[opening["quote"]].finditer(text, start):
        found = len(closing[1])
        if found < slashes:  # the string around it ends: this one was cut off
            end = closing.start()
            break
        if found % (2 * (slashes + 1)) == slashes:
            end = closing.end() - 1 - slashes
            break
    return start, end, MARK if end > start else ""


def _bracket_end(text: str, at: int, slashes: int) -> int:
    depth, inside = 0, None
    for match in _BRACKET.finditer(text, at):
        if match["bracket"] is not None:
            if inside is None:
                depth += 1 if match["bracket"] in "{[" else -1
                if depth == 0:
                    return match.end()
            continue
        found = len(match["slashes"])
        if found < slashes:
            return match.start()
        if found % (2 * (slashes + 1)) == slashes:
            if inside is None:
                inside = match["quote"]
            elif inside == match["quote"]:
                inside = None
    return len(text)
