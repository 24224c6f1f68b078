"""The local Prefect server is known from others that may listen at its port."""

import json
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
