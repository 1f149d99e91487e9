"""What a tool's result says in words: an error, of what kind, or nothing at all.

Tools report errors in many ways. What is looked at first is structure (``"error"`` keys, status codes), which holds in
any language; words decide only between kinds.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

LOOKED_AT_CHARACTERS = 2_000
_PARSED_CHARACTERS = 200_000
_SAID_CHARACTERS = 200


class Trouble(StrEnum):
    """Kinds of errors that tools report."""

    SERVICE = "service"  # the tool, or what stands behind it, did not work
    REFUSED = "refused"  # it worked, and the answer is no
    MISSING = "missing"  # what was asked for does not exist
    ARGUMENTS = "arguments"  # it was called wrongly
    UNCLEAR = "unclear"


@dataclass(slots=True, frozen=True)
class Reported:
    """An error that a tool reported in its result."""

    trouble: Trouble
    said: str


_NO_ERROR = r"(?:no|not|without|zero|\d+|keine?|ohne|aucune?|sans|sin|без|无)\b"
_ERROR_WORDS = (
    "error|exception|failure|failed|fehler|fehlgeschlagen|erreur|échec|echec|errore|fallo|erro|fout|fel|błąd|chyba|hata|"
    "ошибка|сбой|σφάλμα|错误|錯誤|失敗|失败|エラー|오류|실패|خطأ|שגיאה|त्रुटि"
)
_AFTER_ERROR = (
    r"\s*(?:[:\uff1a!\-–(\[]|$|\d|code\b|while|occurred|calling|during|in\b|bei\b|beim\b|lors\b|al\b|en\b|при\b|发生)"
)
_BEGINS = re.compile(
    rf"\W*(?!{_NO_ERROR})(?:\w+[ _-]){{0,2}}?\w*(?:{_ERROR_WORDS})\b{_AFTER_ERROR}", re.IGNORECASE
)  # fmt: skip
_TRACEBACK = re.compile(r"Traceback \(most recent call last\)|^\s*\w*(?:Error|Exception): ", re.MULTILINE)
_REASONS = (
    "Internal|Bad|Not|Service|Gateway|Forbidden|Unauthori[sz]ed|Too Many|Request|Unprocessable|Conflict|Gone|Method"
)
_STATUS_LINE = re.compile(
    rf"\A\W*(?:(?:HTTP[/ ]?[\d.]*\W*|status(?: code)?\W+|error\W+(?:code\W+)?)([45]\d\d)\b(?!\.\d)"
    rf"|([45]\d\d)[ :–-]+(?:{_REASONS})\b)",
    re.IGNORECASE,
)
_STATUS_WITHIN = re.compile(
    r"(?:HTTP(?:/\d(?:\.\d)?)?|status(?:[ _]code)?|error code)\W{1,3}([45]\d\d)\b", re.IGNORECASE
)
_EXIT = re.compile(r"\A\W*exit[ _]?(?:code|status)\W{1,3}[1-9]", re.IGNORECASE)
_SERVICE = re.compile(
    r"time[d]?[ -]?out|unavailable|unreachable|connect(?:ion|ing)?\b|refused to connect|reset by peer|"
    r"internal (?:server )?error|bad gateway|rate limit|too many requests|overload|try again|temporar|"
    r"maintenance|database|backend|upstream|"
    r"\bserver\b|\bservice\b|network|\bdns\b|\bssl\b|\btls\b|\bquota\b|out of memory|\bcrash|Traceback|"
    r"\b(?:Runtime|Connection|Key|Type|Attribute|Index|ZeroDivision|OS|IO)Error\b|zeitüberschreitung|nicht erreichbar|"
    r"délai|indisponible|tiempo de espera|no disponible|超时|タイムアウト|недоступ|тайм-?аут",
    re.IGNORECASE,
)
_MISSING = re.compile(
    r"not[ _]found|no such|does(?: not|n't) exist|unknown (?!error)|nicht gefunden|introuvable|no encontrad|non trovat|"
    r"не найден|找不到|未找到|見つかりません|찾을 수 없",
    re.IGNORECASE,
)
_ARGUMENTS = re.compile(
    r"invalid (?:argument|parameter|input|value|format|json|type|request|date|id\b)|validation|missing (?:required )?"
    r"(?:argument|parameter|field|key)|required (?:argument|parameter|field|property)|must be (?:a|an|one|of|in)\b|"
    r"malformed|(?:could not|cannot|can't|failed to) (?:parse|decode)|not valid json|unexpected (?:keyword|argument)|"
    r"bad request|ungültig|invalide\b|no válid|неверн|无效",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"not (?:enough|available|allowed|permitted|eligible|authori[sz]ed|possible|supported|match|sufficient)|"
    r"insufficient|cannot be|can't be|already|does not (?:add|match|have|belong)|do not (?:add|match)|exceed|sold out|"
    r"expired|denied|forbidden|unauthori[sz]ed|only (?:one|for|if|when)|limit(?: is| of|$)|no longer|"
    r"declined|rejected|refused\b|policy|nicht (?:verfügbar|genug|erlaubt|möglich)|non (?:autorisé|disponible)",
    re.IGNORECASE,
)
_ERROR_KEYS = ("error", "errors", "exception", "error_message", "errorMessage", "err", "fault", "stderr")
_FLAGS = ("isError", "is_error", "failed")
_GOOD_FLAGS = ("success", "ok", "succeeded")
_STATUS_KEYS = ("status", "status_code", "statusCode", "code", "http_status", "httpStatus")
_TEXT_KEYS = ("message", "detail", "details", "reason", "description", "title", "error_description", "msg", "text")
_BAD_WORDS = frozenset({"error", "failed", "failure", "fail", "timeout", "exception", "unavailable"})
_EMPTY_TEXTS = frozenset({"", "null", "none", "[]", "{}", "nil", "undefined", '""', "''", "()"})
_HTTP_ERROR, _HTTP_SERVER, _HTTP_END, _TOO_MANY, _NOT_FOUND, _GONE = 400, 500, 600, 429, 404, 410
_OF_THE_SERVICE = frozenset({408, _TOO_MANY})
_OF_THE_CALL = frozenset({400, 405, 406, 415, 422})


def reported_error(result: Any) -> Reported | None:
    """Return the error that a tool's result reports; ``None`` if it reports none.

    Examples
    --------
    >>> reported_error("Error: backend unavailable").trouble.value
    'service'
    >>> reported_error({"error": "user not found"}).trouble.value
    'missing'
    >>> reported_error({"error": None, "rows": 3}) is None
    True
    """
    data = decoded(result)
    if isinstance(data, dict):
        return _in_mapping(data)
    text = _text_of(data)
    if text is None:
        return None
    head = text[:LOOKED_AT_CHARACTERS]
    status = _STATUS_LINE.match(head)
    if status is None and not (_BEGINS.match(head) or _TRACEBACK.search(head) or _EXIT.match(head)):
        return None
    within = status or _STATUS_WITHIN.search(head)
    code = next(filter(None, within.groups()), None) if within else None
    return Reported(trouble_of(head, int(code) if code else None), shortened(head))


def trouble_of(text: str, status: int | None = None) -> Trouble:
    """Return what kind of error a text, with an HTTP status where there is one, speaks of."""
    if status is not None and (told := _of_status(status)) is not None:
        return told
    for pattern, trouble in _BY_WORDS:
        if pattern.search(text):
            return trouble
    return Trouble.UNCLEAR


_BY_WORDS = (
    (_ARGUMENTS, Trouble.ARGUMENTS),
    (_MISSING, Trouble.MISSING),
    (_SERVICE, Trouble.SERVICE),
    (_REFUSED, Trouble.REFUSED),
)


def _of_status(status: int) -> Trouble | None:
    if status >= _HTTP_SERVER or status in _OF_THE_SERVICE:
        return Trouble.SERVICE
    if status in (_NOT_FOUND, _GONE):
        return Trouble.MISSING
    if status in _OF_THE_CALL:
        return Trouble.ARGUMENTS
    return Trouble.REFUSED if status >= _HTTP_ERROR else None


def _in_mapping(data: dict[str, Any]) -> Reported | None:
    said = next((data[key] for key in _ERROR_KEYS if _says_something(data.get(key))), None)
    status = next((code for key in _STATUS_KEYS if (code := _http_error(data.get(key))) is not None), None)
    flagged = any(data.get(key) is True for key in _FLAGS) or any(data.get(key) is False for key in _GOOD_FLAGS)
    worded = any(str(data.get(key)).lower() in _BAD_WORDS for key in ("status", "state", "type", "result"))
    if said is None and status is None and not flagged and not worded:
        return None
    if isinstance(said, dict) and status is None:
        status = next((code for key in _STATUS_KEYS if (code := _http_error(said.get(key))) is not None), None)
    told = [said] if said is not None and said is not True else []
    told += [data[key] for key in _TEXT_KEYS if _says_something(data.get(key))]
    text = "; ".join(_flat(part) for part in told) or _flat(data)
    return Reported(trouble_of(text[:LOOKED_AT_CHARACTERS], status), shortened(text))


def _says_something(value: Any) -> bool:
    return (
        value not in (None, False, "", 0) and value not in ([], {}) and str(value).lower() not in ("none", "null", "ok")
    )


def _http_error(value: Any) -> int | None:
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and _HTTP_ERROR <= value < _HTTP_END:
        return value
    return None


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        parts = [value[key] for key in _TEXT_KEYS if isinstance(value.get(key), str)]
        if parts:
            return "; ".join(parts)
    return json.dumps(value, ensure_ascii=False, default=str)[:LOOKED_AT_CHARACTERS]


def is_empty(result: Any) -> bool:
    """Tell whether a result is nothing: no text, ``null``, an empty list or object.

    Examples
    --------
    >>> [is_empty(value) for value in (None, " ", "[]", {}, 0, "0", "none found")]
    [True, True, True, True, False, False, False]
    """
    if result is None:
        return True
    if isinstance(result, str):
        return len(result) < LOOKED_AT_CHARACTERS and result.strip().lower() in _EMPTY_TEXTS
    data = decoded(result)
    if isinstance(data, str) and not isinstance(result, str):
        return is_empty(data)
    return isinstance(data, list | dict | tuple) and not data


def shape_of(result: Any) -> str:
    """Return what kind of value a result is: ``nothing``, ``list``, ``object``, ``number``, ``text``."""
    data = decoded(result)
    if data is None or (isinstance(data, str) and data.strip().lower() in _EMPTY_TEXTS):
        return "nothing"
    if isinstance(data, list | tuple):
        return "list"
    if isinstance(data, dict):
        return "object"
    return "number" if isinstance(data, int | float) else "text"


def decoded(result: Any) -> Any:
    """Return a result as data where it is the text of a JSON object or list, else as it is; unwraps text parts."""
    if isinstance(result, list) and result and all(_is_text_part(part) for part in result):
        result = "\n".join(str(part["text"]) for part in result)
    if isinstance(result, dict) and _is_text_part(result) and len(result) <= 2:  # noqa: PLR2004 - type and text
        result = result["text"]
    if isinstance(result, str) and len(result) <= _PARSED_CHARACTERS:
        text = result.strip()
        if text[:1] in ("{", "["):
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                return result
    return result


def _is_text_part(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str) and "type" in part


def _text_of(data: Any) -> str | None:
    if isinstance(data, str):
        return data
    if isinstance(data, list) and len(data) == 1 and isinstance(data[0], str):
        return data[0]
    return None


def shortened(text: str, limit: int = _SAID_CHARACTERS) -> str:
    """Return the text on one line, not longer than a sentence should be."""
    line = " ".join(text[: 4 * limit].split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
