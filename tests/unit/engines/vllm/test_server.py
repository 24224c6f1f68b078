"""What is said of a vLLM server that ended, and how one that hangs is told."""

import socket
from pathlib import Path

import pytest

from parrot_core.engines.types import EngineDied
from parrot_core.engines.vllm import server
from parrot_core.engines.vllm.server import VllmServer


class Process:
    def __init__(self, status: int | None) -> None:
        self._status = status

    def poll(self) -> int | None:
        return self._status


def served(log: Path, port: int = 9, status: int | None = None) -> VllmServer:
    """A server whose process is none of ours, ended if it has a status."""
    made = object.__new__(VllmServer)
    made.name, made.log, made.base_url = "m", log, f"http://127.0.0.1:{port}/v1"
    made._said_before = 0
    made._process = Process(status)  # type: ignore[assignment]
    return made


def test_the_reason_of_an_end_is_its_error_and_no_warning_that_names_one(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text(
        "ValueError: the model has no max_position_embeddings\n"
        "WARNING 11-29 ulimit is 1024; this may cause OSError: too many open files\n"
        "guard: python ended with code 1\n"
    )
    assert served(log).last_words().startswith("ValueError: the model has no max_position")
    log.write_text("INFO startup complete\nguard: python ended with code -9\n")
    assert served(log).last_words().startswith("guard: python ended with code -9")
    log.write_text("INFO startup complete\n")
    with pytest.raises(EngineDied, match="has ended: killed without a word, exit status -9"):
        served(log, status=-9).check_alive()


def test_the_error_of_an_earlier_process_is_not_the_reason(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text("ValueError: that of the process before\n")
    again = served(log)
    again._said_before = log.stat().st_size
    assert again.last_words().startswith("killed without a word")


def test_a_server_that_takes_connections_and_writes_nothing_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TOKEN_TIMEOUT_S", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(EngineDied, match="hangs: no token in"),
    ):
        served(tmp_path / "log", silent.getsockname()[1]).check_alive()
