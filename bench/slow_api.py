"""An OpenAI-compatible server with latency and faults to order, that counts what it is asked.

Usage: python bench/slow_api.py [--latency-s 1] [--sigma 0] [--refuse 0.05] [--bad 0.01] [--port 0]
"""

import argparse
import asyncio
import hashlib
import itertools
import json
import math
import resource
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import web

REFUSAL_S = 0.05  # a 429 or a 400 is answered at once, as providers do
RETRY_AFTER_S = 1
WORDS = ["".join(pair) for pair in itertools.product(("ka", "lo", "mi", "ren", "so"), repeat=3)]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the server is like. Everything is drawn from the request: reruns see the same."""

    latency_s: float = 1.0  # mean
    sigma: float = 0.0  # of the lognormal's logarithm; 0 is a fixed latency
    refuse: float = 0.0  # share of requests answered with 429 and Retry-After
    bad: float = 0.0  # share of bodies answered with 400, always

    def service_s(self, draw: float) -> float:
        """Seconds that an answer takes, for a draw from (0, 1)."""
        if not self.sigma:
            return self.latency_s
        normal = statistics.NormalDist().inv_cdf(draw)
        mean_one = math.exp(self.sigma * normal - self.sigma**2 / 2)
        return self.latency_s * mean_one


@dataclass(slots=True)
class ModelCount:
    """What one model was asked."""

    requests: int = 0
    answered: int = 0
    refused: int = 0
    bad: int = 0
    service_s: float = 0.0  # of all requests, refused ones included
    in_flight: int = 0
    most_in_flight: int = 0


@dataclass(slots=True)
class Counts:
    """What the server was asked since the last reset."""

    models: dict[str, ModelCount] = field(default_factory=dict)
    answered: dict[bytes, int] = field(default_factory=dict)  # times, by the body's digest
    given_up: int = 0  # clients that hung up before the answer
    first: float = 0.0
    last: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Everything, with what follows from it."""
        return {
            "models": {name: asdict(count) for name, count in self.models.items()},
            "requests": sum(count.requests for count in self.models.values()),
            "answered": sum(self.answered.values()),
            "distinct": len(self.answered),
            "duplicates": sum(times - 1 for times in self.answered.values()),
            "given_up": self.given_up,
            "span_s": self.last - self.first,
            "server_cpu_s": _cpu_s(),
        }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class SlowApi:
    """Answers chat completions after a while."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.counts = Counts()

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        now = time.monotonic()
        raw = await request.read()
        body = json.loads(raw)
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
        counts, count = self.counts, self.counts.models.setdefault(body["model"], ModelCount())
        counts.first = counts.first or now
        count.requests += 1
        again = hashlib.sha256(digest + count.requests.to_bytes(8, "big")).digest()
        bad = _unit(digest[:8]) < self.behaviour.bad
        refused = not bad and _unit(again[:8]) < self.behaviour.refuse
        wait = REFUSAL_S if bad or refused else self.behaviour.service_s(_unit(digest[8:16]))
        count.service_s += wait
        count.in_flight += 1
        count.most_in_flight = max(count.most_in_flight, count.in_flight)
        try:
            await asyncio.sleep(wait - (time.monotonic() - now))
        except asyncio.CancelledError:
            counts.given_up += 1
            raise
        finally:
            count.in_flight -= 1
        counts.last = time.monotonic()
        if bad:
            count.bad += 1
            return _error(400, "this request is wrong", {})
        if refused:
            count.refused += 1
            return _error(429, "slow down", {"Retry-After": str(RETRY_AFTER_S)})
        count.answered += 1
        counts.answered[digest] = counts.answered.get(digest, 0) + 1
        return web.Response(body=_completion(body, digest), content_type="application/json")

    async def models(self, request: web.Request) -> web.Response:
        """GET /v1/models."""
        return web.json_response({"object": "list", "data": []})

    async def stats(self, request: web.Request) -> web.Response:
        """GET /stats."""
        return web.json_response(self.counts.to_json())

    async def reset(self, request: web.Request) -> web.Response:
        """POST /reset, with a new behaviour."""
        self.behaviour = Behaviour(**await request.json())
        self.counts = Counts()
        return web.json_response({})


def _unit(data: bytes) -> float:
    return (int.from_bytes(data, "big") + 0.5) / (1 << 8 * len(data))


def _error(status: int, message: str, headers: dict[str, str]) -> web.Response:
    error = {"message": message, "type": None, "code": None, "param": None}
    return web.json_response({"error": error}, status=status, headers=headers)


def _completion(body: dict[str, Any], digest: bytes) -> bytes:
    """An asker's reply of 30 words, any other's of 120: unlike every other conversation's."""
    length = 30 if "ask" in body["model"] else 120
    start = int.from_bytes(digest[:4], "big") % len(WORDS)
    text = digest.hex()[:12] + " " + " ".join((WORDS * 2)[start : start + length])
    prompt = sum(len(m["content"]) for m in body["messages"]) // 5
    message = {"role": "assistant", "content": text}
    return json.dumps(
        {
            "id": f"chatcmpl-{digest.hex()[:24]}",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": length,
                "total_tokens": prompt + length,
            },
        }
    ).encode()


class RunningApi:
    """The server in a process of its own, as benchmarks drive it."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.base_url = f"{root}/v1"

    def reset(self, behaviour: Behaviour) -> None:
        """Forget all counts and behave differently from now on."""
        data = json.dumps(asdict(behaviour)).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self._root}/reset", data)).close()

    def stats(self) -> dict[str, Any]:
        """See :meth:`Counts.to_json`."""
        with urllib.request.urlopen(f"{self._root}/stats") as answer:
            found = json.load(answer)
        assert isinstance(found, dict)
        return found


@contextmanager
def serving() -> Iterator[RunningApi]:
    """The server on a free port of this machine, until the block ends."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield RunningApi(process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait()


async def _serve(behaviour: Behaviour, port: int) -> None:
    api = SlowApi(behaviour)
    app = web.Application(client_max_size=1 << 28)
    app.router.add_post("/v1/chat/completions", api.complete)
    app.router.add_get("/v1/models", api.models)
    app.router.add_get("/stats", api.stats)
    app.router.add_post("/reset", api.reset)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, keepalive_timeout=600)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until killed; the first line of the output is the address."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, default in asdict(Behaviour()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=default)
    parser.add_argument("--port", type=int, default=0)
    told = vars(parser.parse_args())
    port = told.pop("port")
    asyncio.run(_serve(Behaviour(**told), port))


if __name__ == "__main__":
    main()
