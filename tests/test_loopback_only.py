from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from loopback_only import LeftTheMachineError


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.org"])
def test_a_connection_to_another_machine_is_refused(host: str) -> None:
    with pytest.raises(LeftTheMachineError, match="stay on this machine"):
        socket.create_connection((host, 80), timeout=0.1)


def test_a_datagram_to_another_machine_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, pytest.raises(LeftTheMachineError):
        sender.sendto(b"x", ("192.0.2.1", 9))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_connection_to_this_machine_works(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection((host, server.getsockname()[1]), timeout=5).close()


def test_state_goes_to_a_folder_of_this_run(state_dir: Path) -> None:
    assert Path(os.environ["AGENTTRACE_STATE_DIR"]) == state_dir
    assert state_dir.is_dir()
    assert Path.home() not in state_dir.parents
