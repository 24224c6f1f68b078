"""A chat's incoming webhook, on a real port."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.servers.listening import listening


@dataclass
class Webhook:
    """Its address, and what it was told."""

    url: str = ""
    told: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def listening_webhook() -> Iterator[Webhook]:
    """Listen until the block ends."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.told.append(json.loads(body))
            self.send_response(200)
            self.end_headers()

    with listening(Handler) as port:
        hook.url = f"http://127.0.0.1:{port}/hook"
        yield hook
