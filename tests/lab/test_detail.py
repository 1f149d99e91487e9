"""The detail pane and the messages in a real browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from lab.harness import AXE
from playwright.sync_api import expect
from requirements_met import require_or_skip
from views.bus_source import Recorded
from views.sample_runs import START_NS, Build, planner_executor

from agenttrace_nb.spans import SpanError, SpanKind
from agenttrace_nb.views.feed import Feed, Finished

if TYPE_CHECKING:
    from lab.harness import Harness
    from playwright.sync_api import Locator

    from agenttrace_nb.spans import CellRun, Trace

pytestmark = pytest.mark.lab

SYSTEM = {"role": "system", "content": "You rebook flights. " * 50}


def frame(run: CellRun, traces: list[Trace], *, keep_all: bool = False) -> bytes:
    feed = Feed(Finished(run, traces), keep_all=keep_all)
    feed.pull(work_s=None)
    return feed.snapshot()


def alone(b: Build, end: float = 10, **more: Any) -> bytes:
    run, _ = planner_executor()
    trace = b.close(end)
    run.end_ns = trace.end_ns
    return frame(run, [trace], **more)


def one_tool(content_in: Any = None, content_out: Any = None, **more: Any) -> bytes:
    b = Build()
    b.add(SpanKind.TOOL, "tool", 0, 1, content_in=content_in, content_out=content_out, **more)
    return alone(b)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def call(number: int) -> list[dict[str, Any]]:
    return [
        {"type": "function_call", "call_id": f"c{number}", "name": "find", "arguments": json.dumps({"n": number})},
        {"type": "function_call_output", "call_id": f"c{number}", "output": f"found {number}"},
    ]


def long_conversation(exchanges: int) -> bytes:
    """One agent that is asked again and again, and looks something up each time."""
    b = Build()
    agent = b.add(SpanKind.AGENT, "Clerk", 0, 10 * exchanges, agent="Clerk", role="clerk")
    history: list[Any] = [SYSTEM]
    for number in range(exchanges):
        at = 10 * number
        asked, found = call(number)
        history += [user(f"question {number}")]
        its = {"agent": "Clerk", "model": "m"}
        turn = b.add(SpanKind.TURN, f"turn {number}", at, at + 9, agent, agent="Clerk")
        b.add(SpanKind.LLM, "m", at, at + 1, turn, content_in=list(history), content_out=[asked], **its)
        b.add(
            SpanKind.TOOL, "find", at + 2, at + 3, turn, agent="Clerk", attributes={"call_id": asked["call_id"]},
            content_in=asked["arguments"], content_out=found["output"],
        )  # fmt: skip
        history += [asked, found]
        said = assistant(f"answer {number}")
        b.add(SpanKind.LLM, "m", at + 4, at + 5, turn, content_in=list(history), content_out=[said], **its)
        history.append(said)
    return alone(b, 10 * exchanges)


def card(harness: Harness, title: str) -> Locator:
    return harness.detail.locator(".agtr-card", has=harness.page.get_by_role("heading", name=title))


def open_messages(harness: Harness) -> Locator:
    harness.page.get_by_role("tab", name="Messages").click()
    harness.settle()
    return harness.page.get_by_role("feed")


# ------------------------------------------------------------------------------------------------------------- chat


def test_of_a_long_prompt_only_what_is_new_is_open(harness: Harness) -> None:
    harness.start(long_conversation(4))
    harness.page.locator("#a [role=row]", has=harness.page.get_by_text("m", exact=True)).last.click()
    prompt = card(harness, "input")
    expect(prompt).to_contain_text("tool call find")
    expect(prompt.locator(".agtr-result")).to_contain_text("found 3")
    expect(prompt).not_to_contain_text("question 3")
    prompt.get_by_role("button", name="earlier messages").click()
    for number in range(4):
        expect(prompt).to_contain_text(f"question {number}")
    expect(card(harness, "output")).to_contain_text("answer 3")


def test_reasoning_refusals_media_and_handoffs_are_named(harness: Harness) -> None:
    b = Build()
    out = [
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "think first"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "not that"}]},
        {"type": "function_call", "call_id": "h", "name": "transfer_to_billing", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "h", "output": '{"assistant": "Billing"}'},
        user("look"),
    ]
    out[-1]["content"] = [{"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]
    b.add(SpanKind.LLM, "m", 0, 1, agent="A", content_in="hi", content_out=out)
    harness.start(alone(b))
    answer = card(harness, "output")
    for text in ("reasoning", "think first", "refusal", "not that", "handed over to", "Billing", "image image/png"):
        expect(answer).to_contain_text(text)
    assert harness.page.locator("#a :is(img, audio, video, a)").count() == 0


def test_the_chosen_look_is_kept_from_step_to_step(harness: Harness) -> None:
    harness.start(long_conversation(2))
    rows = harness.page.locator("#a [role=row]", has=harness.page.get_by_text("m", exact=True))
    rows.nth(0).click()
    card(harness, "input").get_by_role("button", name="Raw").click()
    expect(card(harness, "input")).to_contain_text('"role": "system"')
    rows.nth(1).click()
    assert card(harness, "input").get_by_role("button", name="Raw").get_attribute("aria-pressed") == "true"
    card(harness, "input").get_by_role("button", name="JSON").click()
    expect(card(harness, "input").get_by_role("tree")).to_be_visible()


# ------------------------------------------------------------------------------------------------------------- JSON


def test_json_opens_and_closes_and_is_searched_by_keyboard_and_pointer(harness: Harness) -> None:
    value = {"flights": [{"id": f"HAT{n}", "seats": n} for n in range(40)], "ok": True}
    harness.start(one_tool({"a": 1}, value))
    tree = card(harness, "result").get_by_role("tree")
    tree.focus()
    press = harness.page.keyboard.press
    press("Home")
    press("ArrowLeft")
    expect(tree.get_by_role("treeitem")).to_have_count(1)
    press("ArrowRight")
    press("ArrowDown")
    expect(tree.locator("[aria-selected=true]")).to_contain_text("flights: [40]")
    field = card(harness, "result").get_by_label("Search in this JSON")
    field.fill("hat33")
    expect(card(harness, "result").get_by_role("status")).to_have_text("1 of 1")
    expect(tree.locator("[aria-selected=true]")).to_contain_text("HAT33")
    expect(card(harness, "result").locator("code")).to_have_text("$.flights[33].id")


def test_values_and_paths_are_copied(harness: Harness) -> None:
    harness.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    harness.start(one_tool({"a": {"b c": [1, 2]}}, "result"))
    harness.page.evaluate(
        """() => { window.copied = [];
          Object.defineProperty(navigator, "clipboard", { value: { writeText: async (t) => copied.push(t) } }) }"""
    )
    arguments = card(harness, "arguments")
    arguments.get_by_role("treeitem").nth(2).click()
    arguments.get_by_role("button", name="Copy path").click()
    arguments.get_by_role("button", name="Copy value").click()
    card(harness, "result").get_by_role("button", name="Copy result").click()
    expect(card(harness, "result")).to_contain_text("copied")
    assert harness.page.evaluate("() => copied") == ['$.a["b c"]', "[\n  1,\n  2\n]", "result"]


@pytest.mark.parametrize("what", ["deep", "wide"])
def test_json_of_any_depth_and_width_neither_freezes_nor_overflows(harness: Harness, what: str) -> None:
    text = "[" * 10_000 + "1" + "]" * 10_000 if what == "deep" else json.dumps(list(range(100_000)))
    b = Build()
    b.add(SpanKind.AGENT, "first", 0, 1)
    b.add(SpanKind.TOOL, "tool", 2, 3, content_in="x", content_out=text)
    harness.start(alone(b, keep_all=True))
    began = harness.page.evaluate("() => performance.now()")
    harness.row("tool").click()
    harness.settle()
    assert harness.page.evaluate("() => performance.now()") - began < 15_000  # a freeze is minutes
    tree = card(harness, "result").get_by_role("tree")
    tree.focus()
    for key in ("ArrowRight", "End", "Home"):
        harness.page.keyboard.press(key)
    if what == "wide":
        card(harness, "result").get_by_role("button", name="Raw").click()
        expect(card(harness, "result")).to_contain_text("more of")
    assert harness.page.evaluate("() => document.querySelectorAll('*').length") < 1_000


def test_numbers_keep_their_digits(harness: Harness) -> None:
    harness.start(one_tool({"id": 12345678901234567890}, '{"big": 9007199254740993}'))
    expect(card(harness, "arguments")).to_contain_text("12345678901234567890")
    expect(card(harness, "result")).to_contain_text("9007199254740993")


# ----------------------------------------------------------------------------------------------------------- errors


def failing() -> bytes:
    b = Build()
    root = b.add(SpanKind.WORKFLOW, "run", 0, 9, error=SpanError("no", "AgentsException"))
    agent = b.add(SpanKind.AGENT, "A", 0, 9, root, agent="A", error=SpanError("no", "AgentsException"))
    error = SpanError("no answer", "TimeoutError", 504, ("ReadTimeout: timed out",), "File x\n  raise")
    b.add(SpanKind.TOOL, "book", 1, 3, agent, agent="A", error=error, content_in="{}", content_out="An error occurred.")
    b.add(SpanKind.LLM, "gpt", 4, 5, agent, agent="A", content_in="x", content_out="sorry")
    return alone(b)


def test_an_error_says_what_lay_behind_it_where_it_began_and_who_was_told(harness: Harness) -> None:
    harness.start(failing())
    expect(harness.detail.locator("h3")).to_contain_text("book")
    failure = card(harness, "error · HTTP 504")
    expect(failure).to_contain_text("TimeoutError: no answer")
    expect(failure).to_contain_text("caused by ReadTimeout: timed out")
    expect(card(harness, "what the model was told")).to_contain_text("An error occurred.")
    failure.get_by_role("button", name="gpt").click()
    assert harness.chosen() == "gpt"
    harness.row("book").click()
    failure.get_by_role("button", name="A", exact=True).click()
    assert harness.chosen() == "A"
    expect(harness.detail.locator(".agtr-whence")).to_contain_text("began in book")
    harness.detail.locator(".agtr-whence").get_by_role("button", name="book").click()
    assert harness.chosen() == "book"


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "sqlite:///mlflow.db"])
def test_a_run_leads_to_mlflow(harness: Harness, uri: str) -> None:
    run, traces = planner_executor()
    run.tracking_uri, run.run_id = uri, "r1"
    harness.start(frame(run, traces))
    if uri.startswith("http"):
        link = harness.detail.get_by_role("link", name="run")
        assert link.get_attribute("href") == "http://127.0.0.1:5000/#/runs/r1"
        assert link.get_attribute("rel") == "noopener noreferrer"
        assert link.get_attribute("target") == "_blank"
    else:
        assert harness.detail.get_by_role("link").count() == 0
        expect(harness.detail.get_by_role("button", name="Copy run id")).to_be_visible()
        expect(harness.detail.get_by_role("button", name="Copy command")).to_be_visible()


# --------------------------------------------------------------------------------------------------------- messages


def test_a_run_is_read_as_a_conversation(harness: Harness) -> None:
    harness.start(frame(*planner_executor()))
    feed = open_messages(harness)
    harness.page.evaluate("() => { document.querySelector('.agtr-messages').scrollTop = 0 }")
    harness.settle()
    words = feed.inner_text()
    order = [
        "to Planner",
        "Rebook my flight to Boston",
        "planner",
        "get_user",
        "handed over to",
        "Looking for flights.",
    ]
    assert [words.index(word) for word in order] == sorted(words.index(word) for word in order)
    assert words.count("Rebook my flight to Boston") == 1
    failed = feed.locator("article", has=harness.page.get_by_text("book_flight", exact=True))
    expect(failed).to_contain_text("error TimeoutError: flights-api did not answer in 2.0 s (POST /v2/bookings)")
    failed.get_by_role("button").click()
    expect(failed).to_contain_text("what the model was told")


def test_each_message_is_shown_once_although_every_call_repeats_the_history(harness: Harness) -> None:
    harness.start(long_conversation(3))
    words = open_messages(harness).inner_text()
    for number in range(3):
        assert (
            words.count(f"question {number}") == words.count(f"answer {number}") == words.count(f"found {number}") == 1
        )
    assert "You rebook flights." not in words


def test_a_chosen_message_is_the_chosen_step(harness: Harness) -> None:
    harness.start(frame(*planner_executor()))
    feed = open_messages(harness)
    feed.get_by_text("Looking for flights.").click()
    expect(harness.detail.locator("h3")).to_contain_text("gpt-4o")
    harness.page.get_by_role("tab", name="Tree").click()
    assert harness.chosen() == "gpt-4o"


def test_messages_are_read_by_keyboard(harness: Harness) -> None:
    harness.start(frame(*planner_executor()))
    feed = open_messages(harness)
    feed.locator("article[tabindex='0']").focus()

    def chosen() -> str:
        return harness.page.evaluate("() => document.activeElement.innerText")

    press = harness.page.keyboard.press
    press("Home")
    harness.settle()
    assert "Rebook my flight" in chosen()
    press("ArrowDown")
    harness.settle()
    assert "travel-only" in chosen()
    press("End")
    harness.settle()
    assert "evaluate" in chosen()
    expect(harness.detail.locator("h3")).to_contain_text("evaluate")
    assert feed.locator("article[tabindex='0']").count() == 1


def test_ten_thousand_messages_need_few_elements_and_are_read_to_the_end(harness: Harness) -> None:
    b = Build()
    agent = b.add(SpanKind.AGENT, "A", 0, 10_000, agent="A")
    for at in range(10_000):
        b.add(SpanKind.LLM, "m", at, at + 1, agent, agent="A", content_out=[assistant(f"message {at} " + "word " * 40)])
    harness.start(alone(b, 10_000))
    began = harness.page.evaluate("() => performance.now()")
    feed = open_messages(harness)
    assert harness.page.evaluate("() => performance.now()") - began < 1_500
    assert harness.page.evaluate("() => document.querySelectorAll('*').length") < 3_000
    feed.locator("article[tabindex='0']").focus()
    harness.page.keyboard.press("End")
    harness.settle()
    harness.settle()
    last = feed.locator("article[aria-posinset='10000']")
    expect(last).to_be_in_viewport()
    expect(last).to_be_focused()
    assert harness.page.evaluate("() => document.querySelectorAll('*').length") < 3_000
    wanted = [row for message in harness.sent() for row in message["rows"]]
    assert 10_000 in wanted, "what is on screen and not here is asked for"
    assert len(wanted) < 200
    harness.content(10_000, 0, 1, json.dumps({"output": [assistant("the last word")]}).encode())
    expect(last).to_contain_text("the last word")


def test_messages_grow_while_the_run_goes_on(harness: Harness) -> None:
    recorded = Recorded(zero_ns=START_NS)
    recorded.play(until=0.4)
    feed = Feed(recorded.live, clock_ns=lambda: START_NS + 2_000_000_000)
    feed.pull(work_s=None)
    harness.start(feed.snapshot())
    messages = open_messages(harness)
    before = messages.inner_text()
    recorded.play()
    feed.pull(work_s=None)
    harness.patch(feed.patch() or b"")
    expect(messages).to_contain_text("I could not rebook it.")
    assert "I could not rebook it." not in before


@pytest.mark.parametrize(
    ("what", "dark"), [("messages", False), ("messages", True), ("json", False), ("chat", True)], ids=str
)
def test_axe_finds_nothing(harness: Harness, what: str, dark: bool) -> None:
    require_or_skip(AXE.exists(), "needs axe-core: npm ci in js/")
    harness.start(frame(*planner_executor()), dark=dark)
    if what == "messages":
        open_messages(harness).get_by_role("button").first.click()
    else:
        harness.row("gpt-4o-mini").click()
        if what == "json":
            card(harness, "input").get_by_role("button", name="JSON").click()
            card(harness, "input").get_by_role("treeitem").first.click()
    harness.settle()
    assert harness.axe() == []


@pytest.mark.parametrize("width", ["2000px", "1000px", "700px"])
def test_detail_and_messages_stay_inside_at_any_width(harness: Harness, width: str) -> None:
    harness.page.set_viewport_size({"width": 2040, "height": 900})
    harness.start(long_conversation(3), width=width)
    open_messages(harness)
    out = harness.page.evaluate(
        """() => { const edge = document.querySelector("#a").getBoundingClientRect();
             return [...document.querySelectorAll("#a article, #a .agtr-card, #a .agtr-acts")]
               .filter((e) => e.getBoundingClientRect().right > edge.right).length; }"""
    )
    assert out == 0
    detail, panel = (harness.page.locator(f"#a .agtr-{name}").bounding_box() or {} for name in ("detail", "messages"))
    assert (detail["y"] >= panel["y"] + panel["height"] - 1) == (width == "700px"), "below where it is narrow"
