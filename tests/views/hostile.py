"""Texts as a hostile model or tool would write them. Every view is shown them; none may run, reorder or break anything.

Each script, if it ran, would set ``window.agtrHacked``.
"""

from __future__ import annotations

import json
from typing import Any

from views.sample_runs import START_NS, Build

from agenttrace_nb.spans import Agent, CellRun, SpanError, SpanKind, Status, Trace

RUN = "window.agtrHacked=1"
MARKUP = (
    f"<script>{RUN}</script>",
    f"</script><script>{RUN}</script>",
    f"<img src=x onerror='{RUN}'>",
    f'"><svg onload="{RUN}">',
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<a href='javascript:{RUN}'>click</a>",
    f"javascript:{RUN}",
    "<style>@import 'data:text/css,*{display:none}'</style><div style='position:fixed;inset:0;background:red'>",
    f"<details open ontoggle={RUN}>",
    f"<math><mtext></p><img src=x onerror={RUN}>",
    "</pre></code></td></table></details></div></textarea></title></style>",
    "<!-- --!> ]]> <![CDATA[",
    "${" + RUN + "} {{" + RUN + "}} {%" + RUN + "%}",
    f"[click](javascript:{RUN}) ![x](x) $$\\href{{javascript:{RUN}}}{{x}}$$",
    f"data:text/html,<script>{RUN}</script>",
    "data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+",
    "}}*{{position:fixed;inset:0;z-index:9}} /*",
    "red;position:fixed;inset:0;background:url(http://127.0.0.1/x)",
    "expression(alert(1)); -moz-binding: url(//127.0.0.1/x)",
    f"<base href='http://127.0.0.1/'><form action='javascript:{RUN}'><button autofocus onfocus='{RUN}'>",
    "http://127.0.0.1/tracker.png?id=1 //127.0.0.1/x \\\\127.0.0.1\\x",
)
CONTROL = (
    "\x1b[31mred\x1b[2J\x1b[H\x1b]0;title\x07\x1b]8;;http://127.0.0.1/\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31mred\x9d0;title\x9c\x90payload\x9c",
    "null\x00byte\x07bell\x08back\x7fdel",
    "one\u2028two\u2029three\r\nfour\rfive\x0bsix\x85seven",
    "\u202egpj.exe\u202c \u2066isolated\u2069 \u200fright\u200e left \u061c",
    "\ud800 lone \udfff",
    "\ufeffbom \ufff9annotated\ufffb",
    "ig\u200bno\u2060re \U000e0069\U000e0067\U000e006e\U000e006f\U000e0072\U000e0065",
    "\x80\x85\x93quoted\x94 â€œtwiceâ€\x9d \x9f",
    "Z̸̛̤͐a̷̘͑l̶͈̽g̵̙̈́o̶͖͋" + "\u0301" * 200,
)
SCRIPTS = (
    "שלום עולם, مرحبا بالعالم",
    "東京から大阪まで、新幹線で二時間半です。" * 3,
    "👩‍👩‍👧‍👦🏳️‍🌈🧑🏽‍🚀 family, flag, astronaut",
    "ﷺ" * 30,
    "аdmin рaypal Αdmin аgent",  # noqa: RUF001 - letters of other scripts that look alike
    "__proto__",
    "constructor",
    "toString",
    "1" * 400,
    "W" * 5_000,
    "a b " * 2_000,
    " ",
    "",
)
LARGE = "0123456789abcdef" * (10 * 1024 * 1024 // 16)


def deep(levels: int) -> Any:
    """JSON of absurd depth."""
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    return value


def texts() -> tuple[str, ...]:
    """All of them, but for the large one."""
    return (*MARKUP, *CONTROL, *SCRIPTS)


def _declared(text: str) -> Agent:
    tool = {"name": text, "description": text, "parameters": {text: [text, {"a": text}]}}
    named = [{"agent": text, "name": text, "stage": text}, {"agent": text + text}]
    return Agent(
        name=text, role=text, instructions=text, model=text, tools=[tool], handoffs=named, guardrails=named[:1],
        output_type=text, model_settings={text: text},
    )  # fmt: skip


def declared(text: str) -> Agent:
    """An agent that was declared with this text wherever one can stand."""
    return Agent(
        name=text, role=text, instructions=text, model=text, model_settings={text: text}, output_type=text,
        tools=[{"name": text, "type": text, "description": text, "parameters": {text: text}}],
        handoffs=[{"agent": text, "tool": text}], guardrails=[{"name": text, "stage": text}],
    )  # fmt: skip


def calls(text: str) -> list[dict[str, Any]]:
    """What an LLM call answers, with this text wherever one can stand."""
    text = text[:400]
    return [
        {"type": "reasoning", "id": text, "summary": [{"type": "summary_text", "text": text}]},
        {"type": "function_call", "call_id": text, "name": text, "arguments": json.dumps({text: text})},
        {"type": "function_call_output", "call_id": text, "output": text},
        {"type": f"{text}_call", "id": text, "action": {text: text}, "results": [text]},
        {"type": text, "id": text, text: text},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": text}, {"type": "output_text", "text": text}]},
        {"role": "user", "content": [
            {"type": "input_image", "image_url": text}, {"type": "input_file", "filename": text, "file_url": text},
            {"type": "input_audio", "input_audio": {"format": text, "data": text}},
        ]},
        {"role": "assistant", "tool_calls": [{"id": text, "function": {"name": text, "arguments": text}}], text: text},
        {"type": "function_call", "call_id": "h", "name": f"transfer_to_{text}", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "h", "output": json.dumps({"assistant": text})},
    ]  # fmt: skip


def hostile_run(*, large: bool = False) -> tuple[CellRun, list[Trace]]:
    """A run in which every text that can be hostile is: names, roles, models, errors, content, keys."""
    b = Build(name=MARKUP[0])
    kinds = list(SpanKind)
    root = b.add(SpanKind.WORKFLOW, MARKUP[1], 0, 1000, content_in=MARKUP[2], content_out={MARKUP[0]: MARKUP[3]})
    for at, text in enumerate(texts()):
        agent = b.add(SpanKind.AGENT, text, at, at + 1, root, agent=text, role=text)
        b.add(
            kinds[at % len(kinds)], text, at, at + 1, agent, agent=text, model=text,
            content_in=[{"role": text, "content": text}, {"role": "user", "content": [{"type": text, "text": text}]}],
            content_out={text: [text, {text: text}]}, attributes={text: text, "from_agent": text, "to_agent": text},
            error=SpanError(text, text, 500, (text, text), text) if at % 2 else None,
        )  # fmt: skip
        b.add(
            SpanKind.LLM, text, at, at + 1, agent, agent=text, model=text, content_in=[{"role": text, "content": text}],
            content_out=calls(text), attributes={text: text, "model_settings": {text: text}, "finish_reason": text},
        )  # fmt: skip
    contents = [
        deep(20_000),
        json.dumps(deep(400)),
        json.dumps(deep(0)) + "[" * 10_000,
        "[" * 10_000 + "]" * 10_000,
        float("nan"),
        b"bytes",
        {1: {2: {3}}},
        object,
        10**400,
        -(10**30),
        '{"big": 1e999, "n": ' + "9" * 4_000 + "}",
        '{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}',
        [{"role": "user", "content": None}, {"role": "tool"}, {"type": "function_call"}, {"type": "reasoning"}],
        [{"type": "function_call", "call_id": 5, "name": {"a": 1}, "arguments": ["x"]}, {"message": {"message": {}}}],
        {"items": [[0, 0, 9]], "input_items": [[99, 0, 9]], "fresh": "x", "clipped": -1},
    ]
    for at, content in enumerate(contents + ([LARGE] if large else [])):
        b.add(SpanKind.TOOL, f"content {at}", 100 + at, 101 + at, root, content_in=content, content_out=content)
    trace = b.close(1000, Status.ERROR)
    trace.agents = {text: _declared(text) for text in texts()}
    trace.tags = {text: text for text in texts()}
    trace.agents = {text: declared(text) for text in texts()}
    run = CellRun(
        key="<script>", name=MARKUP[0], start_ns=START_NS, end_ns=trace.end_ns, status=Status.ERROR, arch=MARKUP[1],
        case=CONTROL[0], trial=MARKUP[3], error=SpanError(MARKUP[2], MARKUP[4]), trace_ids=[trace.trace_id],
        tags=dict(trace.tags), tracking_uri=f"javascript:{RUN}", run_id=MARKUP[2],
    )  # fmt: skip
    return run, [trace]
