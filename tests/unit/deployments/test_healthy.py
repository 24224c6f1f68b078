"""docker/healthy.py: the health check that all images share."""

import importlib.util
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.servers.listening import listening

FILE = Path(__file__).resolve().parents[3] / "docker" / "healthy.py"


@pytest.fixture(scope="module")
def healthy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("healthy", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server that answers 200 at /good, else 500."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/good" else 500)
            self.end_headers()

    with listening(Handler) as port:
        yield port


@pytest.fixture
def closed() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_what_answers_is_healthy(healthy: ModuleType, port: int) -> None:
    assert healthy.main([f"http://127.0.0.1:{port}/good", f"tcp://127.0.0.1:{port}"]) == 0


def test_an_error_page_is_not(healthy: ModuleType, port: int) -> None:
    assert healthy.main([f"http://127.0.0.1:{port}/bad"]) == 1


@pytest.mark.parametrize("scheme", ["http", "tcp"])
def test_one_closed_port_is_enough_and_is_named(
    healthy: ModuleType,
    port: int,
    closed: int,
    scheme: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = f"{scheme}://127.0.0.1:{closed}"
    assert healthy.main([f"tcp://127.0.0.1:{port}", bad]) == 1
    assert bad in capsys.readouterr().err


@pytest.mark.parametrize("addresses", [[], ["localhost:80"], ["tcp://localhost"]])
def test_a_wrong_address_is_told_from_a_dead_one(healthy: ModuleType, addresses: list[str]) -> None:
    assert healthy.main(addresses) == 2
