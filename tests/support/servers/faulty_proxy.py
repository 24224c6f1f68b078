"""An HTTP proxy in front of an object store that loses, delays and refuses a share of requests."""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from yarl import URL

HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date"})


@dataclass
class Faults:
    """Shares of requests, between 0 and 1, that meet each fault; the rest goes through."""

    busy: float = 0.0  # 503 SlowDown
    broken: float = 0.0  # 500 InternalError
    cut_before: float = 0.0  # connection closed, the store has seen nothing
    cut_after: float = 0.0  # the store has done it, but the answer is lost
    cut_within: float = 0.0  # half of the answer, then the connection is closed
    slow: float = 0.0  # a second late
    conflict: float = 0.0  # 409 to a conditional write: another one is under way
    expired: bool = False  # every request: the credentials have expired
    seed: int = 0
    met: Counter[str] = field(default_factory=Counter)


class FaultyProxy:
    """Forwards to ``target`` with the client's own headers, so that signatures hold."""

    def __init__(self, target: str, faults: Faults) -> None:
        self.target = target
        self.faults = faults
        self.url = ""
        self._rng = random.Random(faults.seed)

    def _fate(self) -> str:
        if self.faults.expired:
            return "expired"
        drawn = self._rng.random()
        for name in ("busy", "broken", "cut_before", "cut_after", "cut_within", "slow", "conflict"):
            drawn -= getattr(self.faults, name)
            if drawn < 0:
                return name
        return "fine"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fate = self._fate()
        self.faults.met[fate] += 1
        if fate == "expired":
            return _error(400, "ExpiredToken", "The provided token has expired.")
        if fate == "busy":
            return _error(503, "SlowDown", "Please reduce your request rate.")
        if fate == "broken":
            return _error(500, "InternalError", "We encountered an internal error.")
        if fate == "conflict" and "If-None-Match" in request.headers:
            return _error(409, "ConditionalRequestConflict", "A conflicting operation occurred.")
        if fate == "cut_before":
            return _cut(request)
        if fate == "slow":
            await asyncio.sleep(1.0)
        return await self._forward(request, body, fate)

    async def _forward(self, request: web.Request, body: bytes, fate: str) -> web.StreamResponse:
        url = URL(self.target + request.raw_path, encoded=True)
        async with self.session.request(
            request.method, url, headers=request.headers, data=body, allow_redirects=False
        ) as answer:
            content = await answer.read()
            if fate == "cut_after":
                return _cut(request)
            headers = [(k, v) for k, v in answer.headers.items() if k.lower() not in HOP]
            response = web.StreamResponse(status=answer.status, headers=headers)
            length = len(content)
            if request.method == "HEAD":
                length = int(answer.headers.get("Content-Length", "0"))
            response.content_length = length
            await response.prepare(request)
            if fate == "cut_within" and len(content) > 1:
                await response.write(content[: len(content) // 2])
                return _cut(request)
            await response.write(content)
            return response

    async def start(self) -> web.AppRunner:
        self.session = ClientSession(
            connector=TCPConnector(limit=0),
            timeout=ClientTimeout(total=60),
            auto_decompress=False,
            cookie_jar=DummyCookieJar(),
        )
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, access_log=None, auto_decompress=False)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner


def _error(status: int, code: str, message: str) -> web.Response:
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@contextmanager
def faulty_proxy(target: str, faults: Faults) -> Iterator[FaultyProxy]:
    """A proxy on a free port, served from a thread until the block ends."""
    proxy = FaultyProxy(target, faults)
    loop = asyncio.new_event_loop()
    started = threading.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(proxy.start())
        loop.call_soon(started.set)
        loop.run_forever()
        loop.run_until_complete(proxy.session.close())
        loop.run_until_complete(runner.cleanup())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
