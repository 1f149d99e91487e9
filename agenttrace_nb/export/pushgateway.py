"""Metrics pushed to a Pushgateway, from where Prometheus fetches them: for kernels that Prometheus cannot reach."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from agenttrace_nb.export.handler import (
    API_VERSION,
    Answer,
    Context,
    Item,
    Misconfigured,
    Refused,
    Retry,
    Sent,
    TooLarge,
)
from agenttrace_nb.export.http_options import LookedAtEarly, check_protected, check_url, file_option, switch
from agenttrace_nb.export.http_post import Poster, Reply
from agenttrace_nb.export.metrics import MetricBook
from agenttrace_nb.export.prometheus import registry_of
from agenttrace_nb.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

JOB = "agenttrace_nb"
_TEXT = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
_BAD_REQUEST = 400


class PushgatewayHandler(LookedAtEarly):
    """Pushes all metrics of a journal as one group, under ``job`` and ``instance`` (the journal).

    Each push holds everything since the handler was opened, so that one that was lost or came twice changes nothing.
    The group stays after the kernel has ended, as Pushgateway's groups do, unless ``delete`` is on.
    """

    api_version = API_VERSION
    options: Mapping[str, str] = {
        "url": "address of the Pushgateway, such as http://pushgateway.example.com:9091",
        "job": f"value of the label job (default: {JOB})",
        "delete": "on: take the group away at the end; what Prometheus did not fetch by then is lost (default: off)",
        "user": "user name, with password",
        "password": "password of user",
        "token": "bearer token",
        "ca_file": "certificates to trust instead of the system's (PEM)",
        "client_cert": "certificate that this side shows (PEM)",
        "client_key": "its key, if it is in a file of its own (PEM)",
    }
    required: frozenset[str] = frozenset({"url"})
    secrets: frozenset[str] = frozenset({"password", "token"})

    _post: Poster
    _group: str

    def open(self, context: Context) -> None:
        """Look at the options; nothing is sent yet.

        Raises
        ------
        ValueError
            If an option has a wrong value; the text names it.
        """
        options = context.options
        base = check_url("url", options["url"])
        credentials = _credentials(options)
        if credentials:
            check_protected("url", base)
        group = {"job": str(options.get("job", JOB)), "instance": context.resource.get("service.instance.id", "")}
        if not group["job"].strip():
            raise ValueError("job: a text that is not empty")
        self._group = f"{base}/metrics/" + "/".join(_part(name, value) for name, value in group.items() if value)
        self._deletes = switch("delete", options.get("delete", False))
        self._post = Poster(
            headers=credentials, ca_file=file_option(options, "ca_file"),
            client_cert=file_option(options, "client_cert"), client_key=file_option(options, "client_key"),
        )  # fmt: skip
        self._book = MetricBook()
        self._registry = registry_of(self._book, context.resource)

    def export(self, batch: tuple[Item, ...]) -> Answer:
        """Count what ended, and push all there is."""
        from prometheus_client import generate_latest

        if not batch:
            return Sent()
        self._book.take(batch)
        return _meaning(self._post.post(self._group, generate_latest(self._registry), _TEXT), self._group)

    def close(self) -> None:
        """Take the group away, where that is wanted, and close the connections."""
        if self._deletes:
            self._post.delete(self._group)
        self._post.close()


def _credentials(options: Mapping[str, Any]) -> dict[str, str | Secret]:
    user, password, token = (options.get(name) for name in ("user", "password", "token"))
    if (user is None) != (password is None):
        raise ValueError("user: user and password are given together")
    if user is not None and isinstance(password, Secret):
        pair = base64.b64encode(f"{user}:{password.reveal()}".encode()).decode()
        return {"Authorization": Secret(f"Basic {pair}", password.reference)}
    if isinstance(token, Secret):
        return {"Authorization": Secret(f"Bearer {token.reveal()}", token.reference)}
    return {}


def _part(name: str, value: str) -> str:
    """Return a label of the group as Pushgateway reads it in an address: any text, in Base64."""
    coded = base64.urlsafe_b64encode(value.encode("utf-8", "replace")).decode()
    return f"{name}@base64/{coded}"


def _meaning(reply: Reply | Retry | Misconfigured, url: str) -> Answer:
    if not isinstance(reply, Reply):
        return reply
    if reply.is_taken:
        return Sent()
    said = f"{url.partition('/metrics/')[0]} answers {reply.status}{f' ({reply.text})' if reply.text else ''}"
    if reply.is_too_large:
        return TooLarge(reason=said)
    if reply.is_busy:
        return Retry(reason=said, after_s=reply.after_s)
    if reply.status == _BAD_REQUEST:
        return Refused(reason=said)
    hint = (
        "look at user, password and token"
        if reply.is_unauthorised
        else "that is no Pushgateway; its port is mostly 9091"
    )
    return Misconfigured(reason=f"{said}: {hint}")
