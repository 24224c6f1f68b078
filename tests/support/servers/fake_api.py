"""A real HTTP server that speaks OpenAI's chat protocol and misbehaves on request."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web


@dataclass(frozen=True)
class Reply:
    """What the server does with one request."""

    text: str = "an answer"
    status: int = 200
    error: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    finish_reason: str = "stop"
    delay_s: float = 0.0
    hang_up: bool = False
    raw: str | None = None  # sent as it is, with status 200


Api = TypeVar("Api", bound="FakeApi")
Behaviour = Callable[[int, dict[str, Any]], Reply]


def echo_turns(number: int, body: dict[str, Any]) -> Reply:
    """Answer with something that names the conversation's length: unique within a session."""
    return Reply(f"reply to message {len(body['messages'])} of {body['messages'][0]['content']}")


class FakeApi:
    """Counts and keeps every request; ``behaviour`` decides each answer."""

    def __init__(self, behaviour: Behaviour = echo_turns) -> None:
        self.behaviour = behaviour
        self.requests: list[dict[str, Any]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.base_url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        reply = self.behaviour(len(self.requests), body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(reply.delay_s)
        finally:
            self.in_flight -= 1
        if reply.hang_up:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if reply.raw is not None:
            return web.Response(text=reply.raw, content_type="text/html")
        if reply.status != 200:
            error = {"message": "told to fail", "code": None, "param": None, **reply.error}
            return web.json_response({"error": error}, status=reply.status, headers=reply.headers)
        return web.json_response(completion_json(body, reply), headers=reply.headers)

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": []})

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/chat/completions", self.handle)
        app.router.add_get("/v1/models", self.models)


def completion_json(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    prompt = sum(len(m["content"].split()) for m in body["messages"])
    written = len(reply.text.split())
    message = {"role": "assistant", "content": reply.text}
    return {
        "id": "chatcmpl-test",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "finish_reason": reply.finish_reason, "message": message}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
        },
    }


@contextmanager
def serving(behaviour: Behaviour = echo_turns) -> Iterator[FakeApi]:
    """A fake API on a free port of this machine, until the block ends."""
    with running(FakeApi(behaviour)) as api:
        yield api


@contextmanager
def running(api: Api) -> Iterator[Api]:
    """Serve ``api`` from a thread, until the block ends."""
    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def start() -> web.AppRunner:
        app = web.Application(client_max_size=1 << 28)
        api.add_routes(app)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        api.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        loop.call_soon(started.set)  # from within run_forever, which a stop then ends
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait()
    try:
        yield api
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def canonical(body: dict[str, Any]) -> str:
    """A request as one comparable string."""
    return json.dumps(body, sort_keys=True)
