"""Redaction: what must not be stored is taken out before it is stored.

By default secrets of a known form are replaced wherever they stand (`agenttrace_nb.journal.secret_forms`: keys of the
usual vendors, bearer tokens, JSON web tokens, private keys, passwords in URLs), and values whose name says that they
are secret (`agenttrace_nb.journal.secret_names`: ``api_key``, ``authorization``, ``password``, ``refresh_token`` ...),
in JSON, in texts that hold JSON, in assignments and in headers. The forms are those that the vendors document; a secret
of an unknown form under an innocent name is not recognised.
"""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any

from agenttrace_nb.journal.events import RECORDS, STRUCTURE
from agenttrace_nb.journal.secret_forms import FORMS, FORMS_IN_ANY_CASE, MARK
from agenttrace_nb.journal.secret_names import GATES, clean_named, is_schema, is_secret_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Rule = str | re.Pattern[str] | Callable[[str], str]

_FAILED = "[redacted: a redaction rule failed]"
_DEEP = "[redacted: too deep to be looked into]"

_numbers: dict[tuple[Any, ...], int] = {}
_numbers_lock = threading.Lock()


class RedactionError(ValueError):
    """A redaction rule is not usable."""


class Redactor:
    r"""Takes secrets out of encoded JSON.

    Parameters
    ----------
    rules
        The user's rules on top of the default ones: regular expressions (as text or compiled), whose matches are
        replaced, or functions from text to text; applied to every text, names of fields included.
    default
        Whether the default rules apply.

    Attributes
    ----------
    number
        The same for redactors with the same rules, and only for those.
    can_wait
        Whether it does not matter when, and in which thread, it works: so it is if the user gave no rules.

    Raises
    ------
    RedactionError
        If a rule is neither, is not a valid regular expression, or finds something in an empty text.

    Examples
    --------
    >>> Redactor().clean(b'{"api_key":"abc","n":1}')
    b'{"api_key":"[redacted]","n":1}'
    >>> Redactor([r"\d{4}-\d{4}"]).clean(b'"card 1234-5678"')
    b'"card [redacted]"'
    """

    def __init__(self, rules: Sequence[Rule] | Rule = (), *, default: bool = True) -> None:
        given = (rules,) if isinstance(rules, (str, re.Pattern)) or callable(rules) else tuple(rules)
        self._rules = [_as_function(rule) for rule in given]
        self._default = default
        self.number = _number(default, given)
        self.can_wait = not given

    @staticmethod
    def finds_nothing(texts: bytes) -> bool:
        """Tell whether the default rules would find nothing in any of some JSON texts, a line each."""
        forms, by_name = _needed(texts)
        return not forms and not by_name

    def clean(self, data: bytes) -> bytes:
        """Return compact JSON without what the rules take out; the same object if there is nothing."""
        return self._clean(data, None)

    def clean_body(self, data: bytes, references: Iterable[str] = ()) -> bytes:
        """Return the body of an event without what the rules take out; the same object if there is nothing.

        What a run is made of (`agenttrace_nb.journal.events.STRUCTURE`) is left alone, and so are the names of fields.

        Parameters
        ----------
        data
            The body, a mapping, as compact JSON.
        references
            Fields that hold references to items.
        """
        return self._clean(data, STRUCTURE.union(references))

    def _clean(self, data: bytes, untouched: frozenset[str] | None) -> bytes:
        forms, by_name = _needed(data) if self._default else ([], False)
        if not forms and not by_name and not self._rules:
            return data
        value = json.loads(data)
        try:
            walk = _Pass([*forms, *self._rules], by_name=by_name)
            cleaned = walk.value(value) if untouched is None else walk.body(value, untouched)
        except RecursionError:
            cleaned = _DEEP if untouched is None else {k: v for k, v in value.items() if k in untouched}
        return data if cleaned == value else _dump(cleaned)

    def clean_text(self, text: str) -> str:
        """Return a text without what the rules take out."""
        result: str = json.loads(self.clean(_dump(text)))
        return result


def _needed(data: bytes) -> tuple[list[Callable[[str], str]], bool]:
    low = data.lower()
    forms = [clean for gate, clean in FORMS if gate(data)]
    forms += [clean for gate, clean in FORMS_IN_ANY_CASE if gate(low)]
    return forms, any([gate(low) for gate in GATES])  # noqa: C419 - a generator costs more than it saves


class _Pass:
    """One walk through a value with the rules that are needed for it."""

    def __init__(self, rules: list[Callable[[str], str]], *, by_name: bool) -> None:
        self._by_name = by_name
        self._rules = [clean_named, *rules] if by_name else rules

    def body(self, value: dict[str, Any], untouched: frozenset[str]) -> dict[str, Any]:
        cleaned: dict[str, Any] = {}
        for name, inner in value.items():
            if name in untouched:
                cleaned[name] = inner
            elif name in RECORDS and isinstance(inner, dict):
                cleaned[name] = self._mapping(inner, keep_names=True)
            else:
                cleaned[name] = self._named(name, inner)
        return cleaned

    def value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self.value(inner) for inner in value]
        if isinstance(value, dict):
            return self._mapping(value)
        return value

    def _mapping(self, value: dict[str, Any], *, keep_names: bool = False) -> dict[str, Any]:
        cleaned: dict[str, Any] = {}
        told = value.get("name", value.get("key"))
        if self._by_name and "value" in value and isinstance(told, str) and is_secret_name(told):
            value = {**value, "value": MARK}  # {"name": "Authorization", "value": ...}
        for name, inner in value.items():
            key = name if keep_names else self._text(name)
            cleaned[key if key not in cleaned else f"{key} #{len(cleaned)}"] = self._named(name, inner)
        return cleaned

    def _named(self, name: str, value: Any) -> Any:
        if self._by_name and is_secret_name(name) and _tells_something(value):
            return MARK
        return self.value(value)

    def _text(self, text: str) -> str:
        for rule in self._rules:
            text = rule(text)
        return text


def _tells_something(value: Any) -> bool:
    if isinstance(value, dict):
        return bool(value) and not is_schema(value)
    if isinstance(value, (bool, type(None))):
        return False
    return value not in ("", [])


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def _number(default: bool, rules: tuple[Any, ...]) -> int:  # noqa: FBT001
    with _numbers_lock:
        try:
            return _numbers.setdefault((default, *rules), len(_numbers))
        except TypeError:  # a function object that cannot be compared: like no other
            return _numbers.setdefault((object(),), len(_numbers))


def _as_function(rule: object) -> Callable[[str], str]:
    if isinstance(rule, str):
        try:
            rule = re.compile(rule)
        except re.error as error:
            msg = f"redact: {rule!r} is not a regular expression ({error})"
            raise RedactionError(msg) from error
    if isinstance(rule, re.Pattern):
        return _from_pattern(rule)
    if callable(rule):
        function = rule

        def checked(text: str) -> str:
            # A rule that breaks must not let through what it was to take out.
            try:
                return str(function(text))
            except Exception:
                return _FAILED

        return checked
    msg = f"redact: {rule!r} is neither a regular expression nor a function from text to text"
    raise RedactionError(msg)


def _from_pattern(pattern: re.Pattern[Any]) -> Callable[[str], str]:
    if isinstance(pattern.pattern, bytes):
        msg = f"redact: {pattern.pattern!r} is a regular expression for bytes; texts are searched, so leave out the b"
        raise RedactionError(msg)
    if pattern.search("") is not None:
        msg = f"redact: {pattern.pattern!r} finds something in an empty text, and so everywhere; make it find more"
        raise RedactionError(msg)
    return lambda text: pattern.sub(MARK, text)
