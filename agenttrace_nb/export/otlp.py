"""OTLP over HTTP: traces and metrics to Grafana, Datadog, Splunk Observability and all that speaks OpenTelemetry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttrace_nb.config import did_you_mean
from agenttrace_nb.export import genai, openinference
from agenttrace_nb.export.genai_names import SCHEMA_URL
from agenttrace_nb.export.handler import (
    API_VERSION,
    Answer,
    Content,
    Context,
    Item,
    Misconfigured,
    Refused,
    Retry,
    Sent,
    TooLarge,
)
from agenttrace_nb.export.http_options import LookedAtEarly, file_option
from agenttrace_nb.export.http_post import Poster, Reply
from agenttrace_nb.export.metrics import MetricBook, Snapshot
from agenttrace_nb.export.otlp_encode import encode_spans, partial_success, status_message
from agenttrace_nb.export.otlp_presets import PRESETS, Destination, destination
from agenttrace_nb.export.otlp_span import Lineage, OtelSpan, Turns, span_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTENT_TYPE = {"Content-Type": "application/x-protobuf"}
_CONVENTIONS = {"genai": (genai.to_otel, SCHEMA_URL), "openinference": (openinference.to_otel, "")}
_REDIRECTS = range(300, 400)
_WRONG_PATH = (404, 405)
_WRONG_TYPE = 415


class OtlpHandler(LookedAtEarly):
    """Sends spans and metrics as OTLP, protobuf over HTTP.

    A step is a span, under OpenTelemetry's conventions for generative AI or under OpenInference. Cell runs have no
    span of their own: each span carries what is known of its run. Metrics, where they are asked for, are those of
    `MetricBook`: totals since this handler was opened, for Datadog what was added.

    Examples
    --------
    >>> handler = OtlpHandler()
    >>> handler.open(Context(name="tempo", options={"endpoint": "http://localhost:4318"}))
    >>> handler.close()
    """

    api_version = API_VERSION
    options: Mapping[str, str] = {
        "preset": f"which service: {', '.join(PRESETS)} (default: generic)",
        "endpoint": "address before /v1/traces (default: http://localhost:4318)",
        "traces_url": "full address for traces, instead of the preset's",
        "metrics_url": "full address for metrics, instead of the preset's",
        "token": "token or API key of the service",
        "instance_id": "grafana-cloud: the number of the stack",
        "site": "datadog: the site, such as datadoghq.eu (default: datadoghq.com)",
        "llmobs": "datadog: on sends the traces to LLM Observability",
        "realm": "splunk-o11y: the realm, such as us1",
        "headers": "more headers, as name=value,name=value",
        "ca_file": "certificates to trust instead of the system's (PEM)",
        "client_cert": "certificate that this side shows (PEM)",
        "client_key": "its key, if it is in a file of its own (PEM)",
        "service": "name of the service that the spans are of (default: OTEL_SERVICE_NAME, else agenttrace_nb)",
        "environment": "where it runs, such as production (deployment.environment.name)",
        "signals": "what to send: traces (default), metrics or traces,metrics",
        "convention": "names of attributes: genai (default) or openinference",
        "turns": "the SDK's turns: fold (default), drop or keep",
    }
    required: frozenset[str] = frozenset()
    secrets = frozenset({"token", "headers"})

    _to: Destination
    _post: Poster
    _lineage: Lineage
    _content: Content
    _resource: dict[str, str]
    _convention: str
    _signals: frozenset[str]
    _book: MetricBook
    _told: Snapshot | None

    def open(self, context: Context) -> None:
        """Look at the options; nothing is sent yet.

        Raises
        ------
        ValueError
            If an option has a wrong value; the text names it.
        """
        options = context.options
        given = {"service.name": options.get("service"), "deployment.environment.name": options.get("environment")}
        self._resource = {
            **context.resource,
            **{name: str(value) for name, value in given.items() if value is not None},
        }
        self._content = context.content
        self._to = destination(options)
        self._convention = _choice("convention", options.get("convention", "genai"), tuple(_CONVENTIONS))
        self._signals = _signals(options.get("signals", "traces"), self._to)
        self._book, self._told = MetricBook(), None
        self._lineage = Lineage(Turns(_choice("turns", options.get("turns", "fold"), tuple(Turns))))
        self._post = Poster(
            headers=self._to.headers, ca_file=file_option(options, "ca_file"),
            client_cert=file_option(options, "client_cert"), client_key=file_option(options, "client_key"),
        )  # fmt: skip

    def export(self, batch: tuple[Item, ...]) -> Answer:
        """Send a batch in one request for each signal."""
        # Metrics first: what is sent again because the traces did not arrive is counted once all the same.
        answer = self._send_metrics(batch) if "metrics" in self._signals else Sent()
        if not isinstance(answer, Sent) or "traces" not in self._signals:
            return answer
        return self._send_traces(batch)

    def close(self) -> None:
        """Close the connections."""
        self._post.close()

    def _mapped(self, item: Item) -> OtelSpan | None:
        span = span_of(item)
        place = self._lineage.place(item, span) if span is not None else None
        if span is None or place is None:
            return None
        to_otel, _ = _CONVENTIONS[self._convention]
        return to_otel(item, span, place, self._content)

    def _send_traces(self, batch: tuple[Item, ...]) -> Answer:
        spans = [made for item in batch if (made := self._mapped(item)) is not None]
        if not spans:
            return Sent()
        _, schema_url = _CONVENTIONS[self._convention]
        body = encode_spans(spans, self._resource, schema_url=schema_url)
        reply = self._post.post(str(self._to.traces_url), body, _CONTENT_TYPE | self._to.trace_headers)
        if not isinstance(reply, Reply):
            return reply
        return classify(reply, str(self._to.traces_url), Signal("traces", len(spans)), self._to.token_option)

    def _send_metrics(self, batch: tuple[Item, ...]) -> Answer:
        self._book.take(batch)
        now = self._book.snapshot()
        new = now.since(self._told)
        if not any(new.series.values()):
            return Sent()
        from agenttrace_nb.export.otlp_metrics import encode_metrics

        sent = new if self._to.is_delta else now
        body = encode_metrics(sent, self._resource, is_delta=self._to.is_delta)
        reply = self._post.post(str(self._to.metrics_url), body, _CONTENT_TYPE)
        if not isinstance(reply, Reply):
            return reply
        points = sum(map(len, sent.series.values()))
        answer = classify(reply, str(self._to.metrics_url), Signal("metrics", points), self._to.token_option)
        if isinstance(answer, TooLarge):
            return Misconfigured(reason=f"{answer.reason}: leave the metrics out with signals=traces")
        if isinstance(answer, (Sent, Refused)):
            self._told = now
        # Points that are rejected are no steps that are lost: what there is of traces is sent all the same.
        return Sent() if isinstance(answer, Refused) and "traces" in self._signals else answer


@dataclass(frozen=True, slots=True)
class Signal:
    """What was sent: its name in addresses, and how many spans or points."""

    name: str
    count: int


def classify(reply: Reply, url: str, sent: Signal, token_option: str) -> Answer:
    """Return what a receiver's answer means, in words.

    Parameters
    ----------
    reply
        The answer.
    url
        The address that was asked.
    sent
        What was sent.
    token_option
        The option that the token was given by.
    """
    if reply.is_taken:
        rejected, why = partial_success(reply.body, reply.content_type)
        if rejected <= 0:
            return Sent()
        reason = f"{url} rejected {rejected} of {sent.count} {sent.name}: {why or 'no reason given'}"
        return Refused(reason=reason, count=min(rejected, sent.count))
    said = f"{url} answers {reply.status}{_told(reply)}"
    if reply.is_too_large:
        return TooLarge(reason=said)
    if reply.is_busy:
        return Retry(reason=said, after_s=reply.after_s)
    if reply.status in _REDIRECTS:
        said = f"{url} sends on to {reply.location or 'nowhere'}"
    hint = _hint(reply, sent.name, token_option)
    return Misconfigured(reason=f"{said}: {hint}") if hint else Refused(reason=said)


def _hint(reply: Reply, signal: str, token_option: str) -> str | None:
    if reply.is_unauthorised:
        return f"it refuses the token; look at the option {token_option}, and whether it may write here"
    if reply.status in _WRONG_PATH:
        other = "; to send no metrics give signals=traces" if signal == "metrics" else ""
        return (
            f"nothing is taken there; most receivers take {signal} at /v1/{signal}: give endpoint without that path, "
            f"or {signal}_url with the whole address{other}"
        )
    if reply.status == _WRONG_TYPE:
        return "it does not take OTLP as protobuf; is it an OTLP address?"
    return "give that address itself" if reply.status in _REDIRECTS else None


def _told(reply: Reply) -> str:
    said = status_message(reply.body, reply.content_type) or reply.text
    return f" ({' '.join(said.split())[:200]})" if said else ""


def _signals(given: Any, to: Destination) -> frozenset[str]:
    asked = frozenset(_choice("signals", word, ("traces", "metrics")) for word in str(given).split(","))
    for signal, url in (("traces", to.traces_url), ("metrics", to.metrics_url)):
        if signal in asked and url is None:
            raise ValueError(f"signals: there is no address for {signal}; give {signal}_url")
    return asked


def _choice(option: str, given: Any, allowed: tuple[str, ...]) -> str:
    word = str(given).strip().lower()
    if word not in allowed:
        raise ValueError(f"{option}: {word[:40]!r} is none of {', '.join(allowed)}.{did_you_mean(word, allowed)}")
    return word
