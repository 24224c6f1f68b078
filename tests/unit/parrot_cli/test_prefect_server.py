"""The local Prefect server is known from others that may listen at its port."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from parrot_cli import prefect_server as server
from tests.support.servers.listening import listening


@pytest.fixture
def told() -> dict[str, object]:
    """What the server that listens says of itself."""
    return {}


@pytest.fixture
def port(told: dict[str, object]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

    with listening(Handler) as port:
        yield port


def test_a_server_of_another_home_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, object], port: int
) -> None:
    monkeypatch.setenv("PARROT_SERVER_HOME", str(tmp_path))
    ours = server.LocalServer(1, port, str(tmp_path))
    (tmp_path / "server.json").write_text(json.dumps(asdict(ours)))
    told["home"] = "/somewhere/else"
    assert server.running() is None
    told["home"] = str(tmp_path)
    assert server.running() == ours
    told.clear()  # no Prefect server at all
    assert server.running() is None


def test_a_server_that_is_too_busy_to_answer_is_waited_for_and_no_second_one_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, object], port: int
) -> None:
    monkeypatch.setenv("PARROT_SERVER_HOME", str(tmp_path))
    ours = server.LocalServer(1, port, str(tmp_path))
    (tmp_path / "server.json").write_text(json.dumps(asdict(ours)))
    monkeypatch.setattr(server.LocalServer, "alive", lambda _: True)
    monkeypatch.setattr(
        server, "_start", lambda _: pytest.fail("a second one on the same database")
    )
    monkeypatch.setattr(server.time, "sleep", lambda _: told.update(home=str(tmp_path)))
    assert server.ensure() == ours


def test_what_has_the_process_id_of_a_server_that_ended_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    monkeypatch.setenv("PARROT_SERVER_HOME", str(tmp_path))
    gone = server.LocalServer(os.getpid(), port, str(tmp_path))
    (tmp_path / "server.json").write_text(json.dumps(asdict(gone)))
    asked: list[int] = []

    def start(first: int) -> server.LocalServer:
        asked.append(first)
        return server.LocalServer(1, first, "new")

    monkeypatch.setattr(server, "_start", start)
    assert server.ensure().home == "new"
    assert asked == [port], "where those look who knew the one before"


@pytest.mark.parametrize("stopped", [False, True])
def test_a_server_that_was_killed_under_a_run_is_started_again_one_that_was_stopped_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    monkeypatch.setenv("PARROT_SERVER_HOME", str(tmp_path))
    monkeypatch.setattr(server, "LOOK_EVERY_S", 0.01)
    gone = server.LocalServer(os.getpid(), 1, str(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", gone.api_url)
    if not stopped:
        (tmp_path / "server.json").write_text(json.dumps(asdict(gone)))
    started, looked = threading.Event(), threading.Event()
    recorded = server._recorded

    def look() -> server.LocalServer | None:
        looked.set()
        return recorded()

    monkeypatch.setattr(server, "_recorded", look)
    monkeypatch.setattr(server, "ensure", started.set)
    with server.kept_up():
        assert (looked if stopped else started).wait(60)
    assert started.is_set() is not stopped
