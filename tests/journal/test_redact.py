"""What is left alone, what the user's own rules may do, and that redaction of anything is JSON again, in time."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal.invented_secrets import DEFAULT, NAMES, SECRETS, cleaned

from agenttrace_nb.journal.encode import encode
from agenttrace_nb.journal.redact import MARK, RedactionError, Redactor

# ------------------------------------------------------------------------------------------- what must be left alone

USUAL = [
    "Rebook my flight for task-17; it is risk-free.",
    "task-17-executor-planner-evaluator and desk-reservation-confirmation-number",
    "The basic understanding of basic functionality and Basic authentication",
    "basic economy, Basic Economy2024, basic cabin",
    "a bearer instrument, the bearer certificates, Bearer authentication, bearer of good news",
    "Authorization: agents must obtain explicit user confirmation (yes) to proceed.",
    "Passwords must have 8 characters. password: at least one digit. The password is wrong.",
    "Forgot your password? Your secret is safe. The key: stay calm. token by token",
    "input_tokens=320, output_tokens=41, max_tokens=4096, total_tokens = 361",
    "cached_tokens: 12 reasoning_tokens: 7",
    "next_page_token=abcdef page_token=x eos_token=</s> pad_token = <pad> stop_token=END",
    "primary_key=id, foreign_key = user_id, sort_key=name, key=value, keyboard=us",
    "monkey=banana turkey=bird",
    "password=None, api_key=null, secret = false",
    "def connect(password=password, api_key=self.api_key): ...",
    'api_key = os.environ["OPENAI_API_KEY"]; token = get_token()',
    "password=<your password> api_key={{api_key}}",
    "if password == other: return",
    "https://example.org:8080/path?x=1@2 and http://localhost:5000/a@b and ftp://ada@example.org",
    "mail me at ada@example.org or at https://example.org/@ada",
    "git@github.com:owner/name.git",
    "00:00:12:34 10:30@Oslo file:///etc/x",
    "ghost_writer, github_patterns, hf_hub_download, npm_config, skeleton_key_board",
    "AKIAN, ASIAN CUISINE, AIzawl, dapifruit, eyJustinTime",
    "gpt-4o-mini, claude-sk-mode, o4-mini-2025-04-16",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "the PRIVATE KEY is not shown",
    "550e8400-e29b-41d4-a716-446655440000 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "resp_0123456789abcdef0123456789abcdef0123456789abcdef call_abcDEF0123456789abcDEF01",
    "skyline sky- sk- ask-me",
    "✓ naïve café – 東京 \ud800",
]


@pytest.mark.parametrize("text", USUAL)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_usual_texts_are_left_alone(text: str, depth: int) -> None:
    value: Any = text
    for _ in range(depth):
        value = json.dumps({"v": [value]})
    raw = encode({"content": value})
    assert DEFAULT.clean(raw) is raw


@pytest.mark.parametrize(
    "value",
    [
        {"input_tokens": 320, "output_tokens": 41, "cached_tokens": 0, "reasoning_tokens": 7, "total_tokens": 361},
        {"max_tokens": 100, "max_output_tokens": 5, "max_completion_tokens": 9, "token_count": 3, "tokens": ["a", "b"]},
        {"logprobs": [{"token": " hello", "logprob": -0.1, "bytes": [32]}]},
        {"next_page_token": "abc", "continuation_token": "x", "eos_token": "</s>"},
        {"key": "value", "primary_key": "id", "keys": ["a"], "key_id": 7, "public_key": "x"},
        {"$i": 17, "$l": [1, 2]},
        {"required": ["password", "api_key"], "enum": ["secret"]},
        {"passwords_changed": 3, "has_password": True, "password_hint": "the usual"},
        {"authorizations": ["a"], "authorized": True, "author": "Ada"},
    ],
)
def test_usual_data_is_left_alone(value: Any) -> None:
    raw = encode(value)
    assert json.loads(DEFAULT.clean(raw)) == value
    text = json.dumps(value)
    assert cleaned(text) == text


# ------------------------------------------------------------------------------------------------------- user rules


def test_a_rule_as_text_is_a_regular_expression() -> None:
    assert cleaned({"n": "card 1234-5678", "m": ["9999-0000"]}, Redactor([r"\d{4}-\d{4}"])) == {
        "n": f"card {MARK}",
        "m": [MARK],
    }


def test_a_compiled_rule_keeps_its_flags() -> None:
    assert cleaned("Ada and ADA", Redactor([re.compile("ada", re.IGNORECASE)])) == f"{MARK} and {MARK}"


def test_a_rule_may_be_a_function_from_text_to_text() -> None:
    assert cleaned({"Name": ["Ada"]}, Redactor([str.upper])) == {"NAME": ["ADA"]}


def test_one_rule_needs_no_list() -> None:
    for rule in ("Ada", re.compile("Ada"), lambda text: text.replace("Ada", MARK)):
        assert cleaned("I am Ada", Redactor(rule)) == f"I am {MARK}"


def test_rules_apply_in_order_after_the_default_ones() -> None:
    redactor = Redactor([lambda text: text.replace(MARK, "(gone)"), lambda text: text.replace("(gone)", "***")])
    assert cleaned(f"x {SECRETS['openai']}", redactor) == "x ***"


def test_a_rule_that_finds_nothing_changes_nothing() -> None:
    raw = encode({"a": ["b", 1.5, None, "é"]})
    assert Redactor(["zzz"]).clean(raw) is raw


def test_rules_see_numbers_only_as_parts_of_texts() -> None:
    assert cleaned({"n": 1234, "t": "1234"}, Redactor([r"\d+"])) == {"n": 1234, "t": MARK}


def test_names_that_a_rule_makes_equal_do_not_swallow_each_other() -> None:
    assert cleaned({"1234": "a", "5678": "b"}, Redactor([r"\d+"])) == {MARK: "a", f"{MARK} #1": "b"}


def test_a_function_that_fails_lets_nothing_through() -> None:
    def broken(text: str) -> str:
        raise KeyError(text)

    assert cleaned({"a": "hunter2", "n": 1}, Redactor([broken]))
    assert b"hunter2" not in Redactor([broken]).clean(encode({"a": ["hunter2"]}))


def test_a_function_that_returns_no_text_is_taken_by_its_text() -> None:
    assert cleaned(["a"], Redactor([lambda text: None])) == ["None"]


def test_without_the_default_rules_only_the_own_ones_apply() -> None:
    redactor = Redactor(["Ada"], default=False)
    assert cleaned({"password": "hunter2", "n": f"Ada {SECRETS['openai']}"}, redactor) == {
        "password": "hunter2",
        "n": f"{MARK} {SECRETS['openai']}",
    }


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("(", r"redact: '\(' is not a regular expression \(missing \), unterminated subpattern"),
        (7, "redact: 7 is neither a regular expression nor a function from text to text"),
        (None, "redact: None is neither"),
        (re.compile(b"x"), r"redact: b'x' is a regular expression for bytes; .*leave out the b"),
        ("x*", r"redact: 'x\*' finds something in an empty text"),
        ("", "redact: '' finds something in an empty text"),
        (re.compile(r"\b"), "finds something in an empty text|^$"),
    ],
)
def test_a_rule_that_cannot_be_used_is_named_with_the_reason(rule: Any, said: str) -> None:
    if isinstance(rule, re.Pattern) and rule.pattern == r"\b":
        Redactor([rule])  # finds nothing in an empty text
        return
    with pytest.raises(RedactionError, match=said):
        Redactor([rule])


def test_redactors_with_the_same_rules_have_the_same_number_and_others_have_not() -> None:
    function = str.upper
    numbers = [
        Redactor(), Redactor([]), Redactor(["a"]), Redactor(("a",)), Redactor("a"), Redactor(["b"]),
        Redactor([function]), Redactor([function]), Redactor([str.lower]), Redactor(default=False),
    ]  # fmt: skip
    first, *rest = [r.number for r in numbers]
    assert rest[0] == first
    assert rest[1] == rest[2] == rest[3]
    assert rest[5] == rest[6]
    assert len({first, *rest}) == 6


def test_a_rule_object_that_cannot_be_compared_has_a_number_of_its_own() -> None:
    class Rule:
        __hash__ = None

        def __call__(self, text: str) -> str:
            return text.replace("Ada", "")

    rule = Rule()
    assert Redactor([rule]).number != Redactor([rule]).number
    assert cleaned("Ada", Redactor([rule])) == ""


# ---------------------------------------------------------------------------------------------------- fields to keep


def test_what_a_run_is_made_of_is_untouched_by_every_rule() -> None:
    body = {"kind": "llm", "status": "ok", "name": "llm", "attributes": {"kind": "llm"}, "input": {"$i": 1}}
    redactor = Redactor([r"llm|ok|kind|name|status|\$"])
    after = json.loads(redactor.clean_body(encode(body), ["input"]))
    assert after == {
        "kind": "llm", "status": "ok", "name": MARK, "attributes": {MARK: MARK}, "input": {"$i": 1}
    }  # fmt: skip


def test_rules_change_what_our_own_records_hold_and_not_their_names() -> None:
    body = {"tag": {"key": "value", "value": "key"}, "error": {"type": "key", "message": "the key"}}
    after = json.loads(Redactor(["key|value|type"]).clean_body(encode(body)))
    assert after == {"tag": {"key": MARK, "value": MARK}, "error": {"type": MARK, "message": f"the {MARK}"}}


def test_a_parameter_or_tag_with_a_secret_name_has_no_value() -> None:
    body = {"param": {"key": "api_key", "value": "hunter2"}, "metric": {"key": "loss", "value": 2.0, "step": 1}}
    after = json.loads(DEFAULT.clean_body(encode(body)))
    assert after == {**body, "param": {"key": "api_key", "value": MARK}}


def test_secret_names_count_in_the_outermost_mapping_too() -> None:
    body = {"kind": "llm", "password": "hunter2"}
    assert json.loads(DEFAULT.clean_body(encode(body))) == {"kind": "llm", "password": MARK}


# -------------------------------------------------------------------------------------------------------- any input

ANY_TEXT = st.text(st.characters(exclude_categories=()))
TRICKY = st.sampled_from(
    [*SECRETS.values(), *NAMES, '"', "'", "\\", "\\\\", '\\"', "{", "}", "[", "]", ":", "=", ",", "\n", "-----", "://",
     "@", "-----BEGIN PRIVATE KEY-----", "-----END", "Bearer ", "Basic ", " ", MARK, "Cookie: ", "x" * 30]
)  # fmt: skip
TEXT = ANY_TEXT | st.lists(TRICKY | ANY_TEXT, max_size=8).map("".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5) | inner.map(json.dumps),
)


@given(JSON, st.booleans())
def test_redaction_of_anything_is_json_again(value: Any, with_rules: bool) -> None:
    redactor = Redactor([r"[aeiou\"\\]", str.title]) if with_rules else DEFAULT
    json.loads(redactor.clean(encode(value)))


@given(JSON)
def test_redacting_twice_changes_nothing_more(value: Any) -> None:
    once = DEFAULT.clean(encode(value))
    assert json.loads(DEFAULT.clean(once)) == json.loads(once)


@given(st.lists(TEXT, max_size=4), st.lists(TEXT, max_size=4), st.sampled_from(list(SECRETS.values())))
def test_a_secret_between_any_two_texts_is_found(before: list[str], after: list[str], secret: str) -> None:
    value = {"b": before, "s": f"{' '.join(before)} {secret} {' '.join(after)}"}
    assert f" {secret} " not in cleaned(value)["s"]


@given(st.dictionaries(TEXT, JSON, max_size=5), TEXT.filter(bool), st.integers(0, 3))
def test_json_in_a_text_is_json_again_without_the_secret(around: dict[str, Any], secret: str, depth: int) -> None:
    marked = f"hunter2{secret}hunter2"
    value: Any = {**around, "password": marked}
    text = json.dumps(value)
    for _ in range(depth):
        text = json.dumps([text])
    after: Any = cleaned(text)
    assert "hunter2" not in after
    for _ in range(depth):
        (after,) = json.loads(after)
    assert json.loads(after)["password"] == MARK


@given(TEXT)
def test_clean_text_is_the_same_as_cleaning_its_json(text: str) -> None:
    assert DEFAULT.clean_text(text) == cleaned(text)


HOSTILE = [
    "sk-", "eyJ", "eyJ.", ".eyJaaaaaaaa", "-eyJaaaaaaaaa.", "Bearer a", "bearer ", "basic AAAA", "PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n", "-----BEGIN A", "-----", "://", "://a:", "://:",
    ":/", "/a:b", "@", "password=", 'password="', "'password': ", '{"password":{', '{"password":[', "x-key-key-key-",
    '\\"password\\":\\"', '"password', "password", "a=", '"', "'", "\\", '\\"', "{", "[", "Cookie: a=b", "api_", "Aa",
    "authorization: ", "A" * 17, "AKIA", "\n", "_sk_live_",
]  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE)
@pytest.mark.timeout(20)
def test_no_text_made_for_it_holds_the_notebook_up(part: str) -> None:
    run = part * (100_000 // len(part))
    for start in ("", "password: x secret= key: ", "secret", "-----BEGIN PRIVATE KEY-----", '"password": ', "Bearer "):
        json.loads(DEFAULT.clean(encode({"t": start + run, "password": "x"})))


def test_data_deeper_than_can_be_looked_into_is_not_let_through() -> None:
    value: Any = "hunter2"
    for _ in range(240):
        value = {"a": value}
    raw = encode({"kind": "llm", "password": "hunter2", "deep": value})

    def down(levels: int) -> bytes:
        return down(levels - 1) if levels else DEFAULT.clean_body(raw)

    after = json.loads(down(600))
    assert after["kind"] == "llm"
    assert after.get("password", MARK) == MARK
