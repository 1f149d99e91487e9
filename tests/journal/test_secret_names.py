"""Values with a secret name are found in data, in JSON inside texts at any depth, in assignments and in headers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from journal.invented_secrets import NAMED, cleaned

from agenttrace_nb.journal.secret_forms import MARK

VALUES = ["x", 'with "quotes" and \\ and \n', "ключ", "\ud800", ["a", "b"], {"a": {"b": "c"}}, 1234, 0.5]
VALUES_IN_TEXTS = [
    "hunter2", 'hun"ter2', "hunter2\\", '\\"', '\\\\"', "a\nb", "it's", ["hunter2", "x]"], {"v": 'hun"ter2}'}, 77,
    -1.5e3,
]  # fmt: skip
SEPARATORS = [(",", ":"), (", ", ": "), (" , ", " : "), (",\n\t", " :\n ")]


@NAMED
def test_a_value_with_a_secret_name_is_taken_out_of_json(name: str) -> None:
    for value in VALUES:
        assert cleaned({"a": [{name: value, "n": 1}]}) == {"a": [{name: MARK, "n": 1}]}


@NAMED
def test_a_secret_name_without_a_secret_is_left_alone(name: str) -> None:
    for value in ("", None, True, False, [], {}):
        assert cleaned({name: value}) == {name: value}


@NAMED
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_value_with_a_secret_name_is_taken_out_of_json_in_texts(name: str, depth: int) -> None:
    def wrapped(inner: Any, separators: tuple[str, str]) -> Any:
        whole: Any = {"before": 'a "b" \\', name: inner, "after": [1, {"c": "}"}]}
        for _ in range(depth):
            whole = json.dumps({"text": whole}, separators=separators)
        return whole

    for value in VALUES_IN_TEXTS:
        for spacing in SEPARATORS:
            assert cleaned({"arguments": wrapped(value, spacing)}) == {"arguments": wrapped(MARK, spacing)}


@NAMED
def test_a_value_with_a_secret_name_is_taken_out_of_what_python_prints(name: str) -> None:
    given = {"before": "it's", name: "hunter2", "other": 'say "x"', "list": [1, 2]}
    after = cleaned(f"Result: {given!r}.")
    assert after == f"Result: {given | {name: MARK}!r}."
    assert cleaned(repr({name: "it's hunter2"})) == repr({name: MARK}).replace(f"'{MARK}'", f'"{MARK}"')


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("password=hunter2", f"password={MARK}"),
        ("PASSWORD = hunter2\nUSER = ada", f"PASSWORD = {MARK}\nUSER = ada"),
        ("export OPENAI_API_KEY='hun ter2'; ls", f"export OPENAI_API_KEY='{MARK}'; ls"),
        ('connect(user="ada", password="hunter2")', f'connect(user="ada", password="{MARK}")'),
        ("https://example.org/?a=1&api_key=hunter2&b=2", f"https://example.org/?a=1&api_key={MARK}&b=2"),
        ("mysql --password=hunter2 -u ada", f"mysql --password={MARK} -u ada"),
        ("client_secret=hunter2,scope=all", f"client_secret={MARK},scope=all"),
        ("DB_PASSWORD=$ecret!x", f"DB_PASSWORD={MARK}"),
        ("apiKey=hunter2)", f"apiKey={MARK})"),
        (r'{"cmd": "API_KEY=\"hunter2\" run"}', rf'{{"cmd": "API_KEY=\"{MARK}\" run"}}'),
        (json.dumps("a\nAPI_KEY=hunter2\naccess_token=x9"), json.dumps(f"a\nAPI_KEY={MARK}\naccess_token={MARK}")),
        ("Authorization: hunter2hunter2", f"Authorization: {MARK}"),
        ("> Authorization: Token hunter2hunter2\r\n> Accept: */*", f"> Authorization: Token {MARK}\r\n> Accept: */*"),
        ("x-api-key: hunter2hunter2\n", f"x-api-key: {MARK}\n"),
        ("Cookie: a=hunter2; b=hunter3\nHost: x", f"Cookie: {MARK}\nHost: x"),
        ("Set-Cookie: sid=hunter2; Path=/", f"Set-Cookie: {MARK}"),
        ("curl -H 'X-Auth-Token: hunter2hunter2' x", f"curl -H 'X-Auth-Token: {MARK}' x"),
    ],
)
def test_assignments_and_headers_in_texts(text: str, after: str) -> None:
    assert cleaned(text) == after
    assert cleaned({"output": [text]}) == {"output": [after]}


@pytest.mark.parametrize("holder", ["name", "key"])
@pytest.mark.parametrize("name", ["Authorization", "api_key", "X-Api-Key"])
def test_a_value_beside_its_secret_name_is_taken_out(holder: str, name: str) -> None:
    assert cleaned([{holder: name, "value": "hunter2"}]) == [{holder: name, "value": MARK}]
    assert cleaned([{"value": "hunter2", holder: name}]) == [{"value": MARK, holder: name}]
    assert cleaned([{holder: "Accept", "value": "*/*"}]) == [{holder: "Accept", "value": "*/*"}]


def test_a_text_cut_off_inside_a_secret_is_cleaned_to_its_end() -> None:
    assert cleaned('{"a": 1, "password": "hunte') == f'{{"a": 1, "password": "{MARK}'
    assert cleaned('{"a": 1, "password": {"x": "hunte') == f'{{"a": 1, "password": "{MARK}"'
    inner = json.dumps({"q": '{"password": "hunte'})
    assert json.loads(cleaned(inner)) == {"q": f'{{"password": "{MARK}'}


def test_the_schema_of_a_tool_with_a_secret_parameter_is_left_alone() -> None:
    schema = {
        "type": "object",
        "properties": {
            "user": {"type": "string"},
            "password": {"type": "string", "description": "The password."},
            "api_key": {"title": "Api Key", "type": "string"},
            "secret": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "credentials": {"$ref": "#/$defs/Credentials"},
        },
        "required": ["password", "api_key"],
    }
    assert cleaned({"tools": [{"name": "login", "parameters": schema}]})["tools"][0]["parameters"] == schema
    assert cleaned(json.dumps(schema, indent=2)) == json.dumps(schema, indent=2)


def test_a_secret_mapping_that_only_looks_a_little_like_a_schema_is_taken_out() -> None:
    assert cleaned({"credentials": {"type": "service_account", "value": "hunter2"}}) == {"credentials": MARK}
