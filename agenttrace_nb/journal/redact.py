"""Redaction: what must not be stored is taken out before it is stored.

Two kinds of rules apply by default. Secrets of a known form (keys of the usual vendors, bearer tokens, private keys,
passwords in URLs) are replaced wherever they stand. Values whose name says that they are secret (``api_key``,
``authorization``, ``password`` ...) are replaced by name, in JSON, in JSON inside strings, and as ``name=value``.
The forms are those that the vendors document; a secret of an unknown form under an innocent name is not recognised.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Rule = str | re.Pattern[str] | Callable[[str], str]

MARK = "[redacted]"

# Marker (lower case, looked for first, since most texts hold none) and the form of the secret. The forms match only
# characters that stand unescaped in JSON, so that they can be replaced in encoded text.
_FORMS: tuple[tuple[bytes, re.Pattern[bytes]], ...] = tuple(
    (marker, re.compile(form))
    for marker, form in (
        (b"sk-", rb"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{16,}"),
        (b"earer ", rb"(?i)(?<=bearer )[A-Za-z0-9._~+/=-]{8,}"),
        (b"asic ", rb"(?i)(?<=basic )[A-Za-z0-9+/]{12,}={0,2}"),
        (b"gh", rb"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),
        (b"glpat-", rb"glpat-[A-Za-z0-9_-]{16,}"),
        (b"akia", rb"(?<![A-Z0-9])AKIA[A-Z0-9]{16}(?![A-Z0-9])"),
        (b"asia", rb"(?<![A-Z0-9])ASIA[A-Z0-9]{16}(?![A-Z0-9])"),
        (b"xox", rb"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
        (b"aiza", rb"AIza[A-Za-z0-9_-]{30,}"),
        (b"hf_", rb"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{20,}"),
        (b"dapi", rb"(?<![A-Za-z0-9])dapi[0-9a-f]{32}"),
        (b"eyj", rb"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
        (b"private key-", rb"(?<=PRIVATE KEY-----).+?(?=-----END)"),
        (b"://", rb"(?<=://)[^\s/:@\"\\]+:[^\s/@\"\\]+(?=@)"),
    )
)
_NAMES = (
    "api[_-]?key|x-api-key|authorization|proxy-authorization|password|passwd|client[_-]?secret|secret[_-]?key|"
    "aws_secret_access_key|(?:access|refresh|auth|session|bearer|id)[_-]token|private[_-]?key|set-cookie|cookie"
)
_NAME_MARKERS = (
    b"api", b"authorization", b"passw", b"secret", b"s_token", b"h_token", b"n_token", b"r_token", b"d_token",
    b"s-token", b"h-token", b"n-token", b"r-token", b"d-token", b"private", b"cookie",
)  # fmt: skip
_NAME = re.compile(rf"(?i)\A(?:{_NAMES})\Z")
_NAMED_JSON = re.compile(rf'(?i)("(?:{_NAMES})"\s*:\s*")((?:[^"\\]|\\.)*)(?=")')
_NAMED_TEXT = re.compile(rf"(?i)(?<![A-Za-z0-9])((?:{_NAMES})=)([^\s&\"',;]+)")


_NUMBERS = itertools.count()


class RedactionError(ValueError):
    """A redaction rule is not usable."""


class Redactor:
    r"""Takes secrets out of encoded JSON.

    Parameters
    ----------
    rules
        The user's rules on top of the default ones: regular expressions (as text or compiled), whose matches are
        replaced, or functions from text to text, applied to every string.
    default
        Whether the default rules apply.

    Raises
    ------
    RedactionError
        If a rule is neither, or is not a valid regular expression.

    Examples
    --------
    >>> Redactor().clean(b'{"api_key": "abc", "n": 1}')
    b'{"api_key":"[redacted]","n":1}'
    >>> Redactor([r"\d{4}-\d{4}"]).clean(b'"card 1234-5678"')
    b'"card [redacted]"'
    """

    def __init__(self, rules: Sequence[Rule] = (), *, default: bool = True) -> None:
        self._rules = [_as_function(rule) for rule in rules]
        self._default = default
        self.number = next(_NUMBERS)

    def clean(self, data: bytes) -> bytes:
        """Return the JSON text without what the rules take out; the same object if there is nothing."""
        if self._default:
            low = data.lower()
            for marker, form in _FORMS:
                if marker in low:
                    data = form.sub(MARK.encode(), data)
            by_name = any(marker in low for marker in _NAME_MARKERS)
        else:
            by_name = False
        if not by_name and not self._rules:
            return data
        value = json.loads(data)
        cleaned = self._walk(value, by_name=by_name)
        return data if cleaned == value else _dump(cleaned)

    def clean_text(self, text: str) -> str:
        """Return a text without what the rules take out."""
        result: str = json.loads(self.clean(_dump(text)))
        return result

    def _walk(self, value: Any, *, by_name: bool) -> Any:
        if isinstance(value, str):
            return self._text(value, by_name=by_name)
        if isinstance(value, list):
            return [self._walk(v, by_name=by_name) for v in value]
        if isinstance(value, dict):
            return {
                self._text(k, by_name=False): MARK
                if by_name and isinstance(v, (str, list, dict)) and v and _NAME.match(k)
                else self._walk(v, by_name=by_name)
                for k, v in value.items()
            }
        return value

    def _text(self, text: str, *, by_name: bool) -> str:
        if by_name:
            text = _NAMED_JSON.sub(rf"\1{MARK}", text)
            text = _NAMED_TEXT.sub(rf"\1{MARK}", text)
        for rule in self._rules:
            text = rule(text)
        return text


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def _as_function(rule: object) -> Callable[[str], str]:
    if isinstance(rule, str):
        try:
            rule = re.compile(rule)
        except re.error as error:
            msg = f"redact: {rule!r} is not a regular expression ({error})"
            raise RedactionError(msg) from error
    if isinstance(rule, re.Pattern):
        pattern = rule
        return lambda text: pattern.sub(MARK, text)
    if callable(rule):
        function = rule

        def checked(text: str) -> str:
            # A rule that breaks must not let through what it was to take out.
            try:
                return str(function(text))
            except Exception:
                return "[redacted: a redaction rule failed]"

        return checked
    msg = f"redact: {rule!r} is neither a regular expression nor a function from text to text"
    raise RedactionError(msg)
