"""Real servers of other people on this machine: each on a free port of the loopback, ended by its own id.

``tests/interop/get_servers`` fetches them. A server that is not there skips the test with its reason, and fails it
where nothing may be missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from requirements_met import require_or_skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
STARTS_WITHIN_S = 120
ENDS_WITHIN_S = 20


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers.

    Attributes
    ----------
    url
        Where.
    folder
        Its folder, for what it reads and writes.
    ports
        Further ports by what they are for.
    """

    url: str
    folder: Path
    ports: Mapping[str, int]

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON at a path, as it is."""
        answer = requests.get(self.url + path, params=query, timeout=30)
        assert answer.ok, f"{answer.status_code}: {answer.text}"
        return answer.json()


def free_port() -> int:
    """Return a port that nobody has at the moment."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def servers_folder() -> Path:
    """Return the folder that ``tests/interop/get_servers`` puts things into."""
    return Path(os.environ.get("AGENTTRACE_SERVERS", ROOT / "build" / "servers"))


def program(name: str, folder: str = "usr", *, server: str | None = None) -> Path:
    """Find a server's program; skip or fail without it."""
    fetched = servers_folder() / folder / "bin" / name
    found = str(fetched) if fetched.exists() else shutil.which(name) if folder == "usr" else None
    require_or_skip(found, f"needs {name}: tests/interop/get_servers {server or name}")
    return Path(str(found))


def wait_until(holds: Callable[[], object], what: str, within_s: float = 60) -> Any:
    """Wait until something holds, and return what it gave."""
    deadline = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.1)
    return found


@contextlib.contextmanager
def running(
    words: Sequence[str | Path],
    folder: Path,
    ready: str,
    *,
    ports: Mapping[str, int] | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Start a server, wait until it answers at an address, and end it at last."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "server.log"
    with log.open("ab") as file:
        process = subprocess.Popen(
            [str(word) for word in words],
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        _wait(process, ready, log)
        base = "/".join(ready.split("/")[:3])
        yield Server(base, folder, ports or {})
    finally:
        process.terminate()
        try:
            process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(ENDS_WITHIN_S)


def _wait(process: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(requests.RequestException):
            if requests.get(ready, timeout=5).ok:
                return
        time.sleep(0.1)
    raise TimeoutError(f"{process.args!r} does not answer: {log.read_text('utf-8', 'replace')[-4000:]}")


# ---------------------------------------------------------------------------------------------------------- which


def prometheus(folder: Path, *, targets: Mapping[str, str] | None = None) -> Any:
    """Prometheus, which fetches every second from ``folder/targets/*.json`` and from the addresses given by job.

    It takes what others send, too (remote write).
    """
    jobs: list[dict[str, Any]] = [
        {"job_name": name, "honor_labels": True, "static_configs": [{"targets": [address]}]}
        for name, address in (targets or {}).items()
    ]
    found = {"files": ["targets/*.json"], "refresh_interval": "1s"}
    jobs.append({"job_name": "agenttrace", "file_sd_configs": [found]})
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    # YAML takes JSON
    settings = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(json.dumps(settings), "utf-8")
    at = f"127.0.0.1:{free_port()}"
    words = [
        program("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={at}",
        "--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage",
    ]  # fmt: skip
    return running(words, folder, f"http://{at}/-/ready")


def pushgateway(folder: Path) -> Any:
    """Prometheus' Pushgateway."""
    at = f"127.0.0.1:{free_port()}"
    words = [program("prometheus-pushgateway", server="pushgateway"), f"--web.listen-address={at}"]
    return running(words, folder, f"http://{at}/-/ready")


def victoria_metrics(folder: Path) -> Any:
    """VictoriaMetrics: speaks Prometheus' language, and takes OTLP metrics and Datadog's series."""
    at = f"127.0.0.1:{free_port()}"
    words = [
        program("victoria-metrics"), f"-httpListenAddr={at}", "-storageDataPath=data", "-retentionPeriod=1d",
        "-search.latencyOffset=0s", "-search.disableCache", "-opentelemetry.usePrometheusNaming",
    ]  # fmt: skip
    return running(words, folder, f"http://{at}/health")


def datadog_agent(folder: Path) -> Any:
    """Datadog's test agent; it passes nothing on. ``ports["otlp"]`` takes OTLP over HTTP."""
    ports = {"otlp": free_port(), "grpc": free_port()}
    own = free_port()
    words = [
        program("ddapm-test-agent", "datadog-agent", server="datadog-agent"), "--host", "127.0.0.1", "--port", str(own),
        "--otlp-http-port", str(ports["otlp"]), "--otlp-grpc-port", str(ports["grpc"]),
        "--disable-llmobs-data-forwarding",
    ]  # fmt: skip
    return running(words, folder, f"http://127.0.0.1:{own}/info", ports=ports)


def phoenix(folder: Path) -> Any:
    """Arize Phoenix, with OTLP traces at ``/v1/traces`` of its address; takes most of a minute to start."""
    own = free_port()
    env = {
        "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(own), "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_WORKING_DIR": str(folder), "PHOENIX_TELEMETRY_ENABLED": "false",
    }  # fmt: skip
    words = [program("phoenix", "phoenix"), "serve"]
    return running(words, folder, f"http://127.0.0.1:{own}/healthz", env=env)
