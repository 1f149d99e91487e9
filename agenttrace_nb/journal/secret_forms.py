"""Secrets that are known by their form, wherever they stand."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MARK = "[redacted]"

# A secret begins where a word does. In JSON that stands in a text, the letter before it may belong to an escape (\n).
# Inside a long run of letters (encrypted reasoning, say) any form turns up by chance.
_ESCAPED = r"(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4})"
_START = rf"(?:(?<![A-Za-z0-9])(?<![A-Za-z0-9_-]{{16}})|{_ESCAPED})"
# The same for forms of a fixed length: what goes on is something else.
_END = r"(?![A-Za-z0-9_+/=-])"
_KIND_OF_KEY = r"[A-Z0-9 ]{0,40}+(?:(?<=PRIVATE KEY)|(?<=KEY BLOCK))"

_BASIC = re.compile(r"(?i)(?<![a-z])(basic(?:\s|\\+[nrt]|%20)+)([a-z0-9+/]{2,}={0,2})")


def _replace(pattern: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)
    instead = rf"\g<before>{MARK}" if "before" in compiled.groupindex else MARK
    return lambda text: compiled.sub(instead, text)


def _if_credentials(match: re.Match[str]) -> str:
    # "Basic understanding" is none: what follows must be the base64 of user:password.
    try:
        hidden = base64.b64decode(match[2], validate=True)
    except ValueError:
        return match[0]
    return match[1] + MARK if b":" in hidden and hidden.isascii() else match[0]


_BEARER = re.compile(
    # A word of the language is no token: there is a digit in it, or it is longer than words are.
    r"(?i)(?<![a-z])(bearer(?:[\s:]|\\+[nrt]|%20)+)"
    r"(?:(?=[a-z._~+/=-]{0,300}[0-9])[a-z0-9._~+/=-]{8,}|[a-z0-9._~+/=-]{24,})"
)


def _http_credentials(text: str) -> str:
    return _BEARER.sub(rf"\1{MARK}", _BASIC.sub(_if_credentials, text))


Form = tuple["Callable[[bytes], object]", "Callable[[str], str]"]

# Each form has a gate, which is run on everything that is recorded, as encoded JSON, and lets through what needs the
# closer look. A gate begins with a letter that is rare, since a search for one letter runs at the speed of memchr.
FORMS: tuple[Form, ...] = tuple(
    (re.compile(gate).search, _replace(form))
    for gate, form in (
        # OpenAI, Anthropic and others; xAI, Perplexity, Tavily, PyPI, GitLab, NVIDIA; Slack
        (
            rb"-(?:(?<=sk-)|(?<=xai-)|(?<=pplx-)|(?<=tvly-)|(?<=pypi-)|(?<=pat-)|(?<=api-)|(?<=xox[abeoprs]-)|(?<=xapp-))",
            _START + r"(?:(?:sk|xai|pplx|tvly|pypi|glpat|nvapi)-[A-Za-z0-9_-]{16,}"
            r"|(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,})",
        ),
        # GitHub, Hugging Face, npm, Replicate, Groq, Pinecone, LangSmith, Stripe, webhooks
        (
            rb"_(?:(?<=gh[pousr]_)|(?<=_pat_)|(?<=hf_)|(?<=npm_)|(?<=r8_)|(?<=[cgrs]sk_)|(?<=[rs]k_)|(?<=lsv2_)|(?<=sec_))",
            _START + r"(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|(?:hf|gsk)_[A-Za-z0-9]{20,}"
            r"|(?:npm|r8)_[A-Za-z0-9]{30,}|pcsk_[A-Za-z0-9_]{20,}|lsv2_[a-z]{2}_[A-Za-z0-9_]{20,}"
            r"|[rs]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/]{16,}=*)",
        ),
        # AWS, Google
        (
            rb"A(?:KIA|SIA|Iza)",
            rf"(?:(?:(?<![A-Z0-9])|{_ESCAPED})A(?:KIA|SIA)[A-Z0-9]{{16}}|{_START}AIza[A-Za-z0-9_-]{{35}}){_END}",
        ),
        # Databricks
        (rb"dapi[0-9a-f]", _START + r"dapi[0-9a-f]{32}(?:-[0-9])?" + _END),
        # JSON web tokens
        (rb"J(?<=eyJ)", _START + r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
        # Private keys, also cut off before their end, also with the line breaks of JSON in a text
        (
            rb"Y(?<=PRIVATE KEY)",
            rf"(?P<before>-----BEGIN {_KIND_OF_KEY}-----)(?:[^\"\\-]++|\\++[nrt/]|-(?!----))++",
        ),
        # Passwords in URLs
        (
            rb"/[^\s/:@\"'\\<>?#]*+:[^\s/@\"'\\<>]++@",
            r"(?P<before>:\\*/\\*/)[^\s/:@\"'\\<>?#]*+:[^\s/@\"'\\<>]++(?=@)",
        ),
    )
)

FORMS_IN_ANY_CASE: tuple[Form, ...] = ((re.compile(rb"b(?:asic|earer)[\s:\\%]").search, _http_credentials),)
"""As `FORMS`; the gates are run on the text in lower case."""
