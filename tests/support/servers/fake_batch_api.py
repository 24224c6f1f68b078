"""A real HTTP server that speaks OpenAI's Files and Batch API, sells, refuses and expires."""

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.servers.fake_api import (
    Behaviour,
    FakeApi,
    Reply,
    completion_json,
    echo_turns,
    running,
)

Json = dict[str, Any]

EXPIRED = Reply(status=0, error={"code": "batch_expired", "message": "not executed in time"})
"""A reply for items that the batch did not get to."""
TIMED_OUT = Reply(status=0, error={"code": "request_timeout", "message": "the model timed out"})


@dataclass(frozen=True)
class Fate:
    """What becomes of one batch: its final status, and the errors of one that failed."""

    status: str = "completed"
    errors: tuple[Json, ...] = ()


@dataclass
class _Batch:
    number: int
    record: Json
    lines: list[Json]
    fate: Fate
    began: float
    outputs: list[Json] = field(default_factory=list)
    errors: list[Json] = field(default_factory=list)


class FakeBatchApi(FakeApi):
    """Keeps what was uploaded, created and sold; tests decide on fates, delays and failures."""

    def __init__(self, behaviour: Behaviour = echo_turns, step_s: float = 0.02) -> None:
        super().__init__(behaviour)
        self.step_s = step_s  # how long a batch is validating, then in progress, then finalizing
        self.held = False  # batches stay in progress until this is False
        self.fate: Callable[[int, list[Json]], Fate] = lambda number, lines: Fate()
        self.lost: Callable[[str, int], Reply | None] = lambda what, number: None
        self.on: Callable[[str, int], None] = lambda what, number: None
        self.most_open_requests = 10**9  # more fail a batch, as the enqueued-token limit does
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, _Batch] = {}
        self.sold: list[Json] = []
        self.asked: dict[str, int] = {}
        self.keys: set[str | None] = set()  # what requests were authorised with
        self.hidden: set[str] = set()  # batches that a listing does not show (yet)

    def add_routes(self, app: web.Application) -> None:
        super().add_routes(app)
        app.router.add_post("/v1/files", self._told("upload", self._upload))
        app.router.add_get("/v1/files/{id}/content", self._told("content", self._content))
        app.router.add_post("/v1/batches", self._told("create", self._create))
        app.router.add_get("/v1/batches", self._told("list", self._list))
        app.router.add_get("/v1/batches/{id}", self._told("retrieve", self._retrieve))
        app.router.add_post("/v1/batches/{id}/cancel", self._told("cancel", self._cancel))

    def _told(self, what: str, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Tell the test of each call; ``lost`` replaces the answer of a call that was served."""

        async def handle(request: web.Request) -> web.StreamResponse:
            number = self.asked[what] = self.asked.get(what, 0) + 1
            self.keys.add(request.headers.get("Authorization"))
            reply = self.lost(what, number)
            if reply is not None and reply.status in (401, 429):  # refused before it was served
                return _error(reply.status, reply.error)
            response: web.StreamResponse = await handler(request)
            self.on(what, number)
            if reply is not None and reply.hang_up:
                assert request.transport is not None
                request.transport.close()
            return _error(reply.status, reply.error) if reply is not None else response

        return handle

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "batch"
        part = form["file"]
        assert isinstance(part, web.FileField)
        name = f"file-{len(self.files)}"
        self.files[name] = part.file.read()
        return web.json_response(
            {
                "id": name,
                "object": "file",
                "bytes": len(self.files[name]),
                "created_at": int(time.time()),
                "filename": part.filename,
                "purpose": "batch",
                "status": "processed",
            }
        )

    async def _content(self, request: web.Request) -> web.Response:
        data = self.files.get(request.match_info["id"])
        return _error(404, {}) if data is None else web.Response(body=data)

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert body["completion_window"] == "24h"
        assert body["endpoint"] == "/v1/chat/completions"
        lines = [json.loads(line) for line in self.files[body["input_file_id"]].splitlines()]
        number = len(self.batches)
        fate = self._invalid(lines) or self.fate(number, lines)
        record = {
            "id": f"batch_{number}",
            "object": "batch",
            "endpoint": body["endpoint"],
            "input_file_id": body["input_file_id"],
            "completion_window": "24h",
            "created_at": int(time.time()),
            "metadata": body.get("metadata"),
            "errors": None,
            "output_file_id": None,
            "error_file_id": None,
        }
        batch = _Batch(number, record, lines, fate, time.monotonic())
        if fate.status != "failed":
            self._execute(batch)
        self.batches[record["id"]] = batch
        return web.json_response(self._json(batch))

    def _invalid(self, lines: list[Json]) -> Fate | None:
        ids = [line["custom_id"] for line in lines]
        right = all(
            line["method"] == "POST" and line["url"] == "/v1/chat/completions" for line in lines
        )
        open_requests = sum(
            len(batch.lines)
            for batch in self.batches.values()
            if self._status(batch) in ("validating", "in_progress", "finalizing")
        )
        if not lines or len(set(ids)) < len(ids) or len(ids) > 50_000 or not right:
            return Fate("failed", ({"code": "invalid_file", "message": "bad line", "line": 1},))
        if len(lines) + open_requests > self.most_open_requests:
            why = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}
            return Fate("failed", (why,))
        return None

    def _execute(self, batch: _Batch) -> None:
        """Sell what is to be sold; outputs come in another order than requests."""
        cut = len(batch.lines) // 2 if batch.fate.status in ("expired", "cancelled") else None
        for position, line in enumerate(batch.lines):
            self.requests.append(line["body"])
            reply = self.behaviour(len(self.requests), line["body"])
            if cut is not None and position >= cut:
                code = "batch_expired" if batch.fate.status == "expired" else "batch_cancelled"
                reply = Reply(status=0, error={"code": code, "message": "not executed"})
            if reply.status == 200:
                self.sold.append(line["body"])
            (batch.outputs if reply.status == 200 else batch.errors).append(_item(line, reply))
        random.Random(batch.number).shuffle(batch.outputs)

    def _status(self, batch: _Batch) -> str:
        if batch.record.get("cancelled_at"):
            return "cancelled"
        steps = (time.monotonic() - batch.began) / self.step_s if self.step_s else 9.0
        if steps < 1:
            return "validating"
        if batch.fate.status == "failed":
            return "failed"
        if self.held or steps < 2:
            return "in_progress"
        return "finalizing" if steps < 3 else batch.fate.status

    def _json(self, batch: _Batch) -> Json:
        status = self._status(batch)
        over = status in ("completed", "expired", "cancelled")
        record = {**batch.record, "status": status}
        if status == "failed":
            record["errors"] = {"object": "list", "data": list(batch.fate.errors)}
        if over:
            for kind, items in (("output", batch.outputs), ("error", batch.errors)):
                if items:
                    name = f"file-{kind}-{record['id']}"
                    self.files[name] = "".join(json.dumps(item) + "\n" for item in items).encode()
                    record[f"{kind}_file_id"] = name
        half = len(batch.lines) // 2 if status == "in_progress" else 0
        record["request_counts"] = {
            "total": len(batch.lines),
            "completed": len(batch.outputs) if over else half,
            "failed": len(batch.errors) if over else 0,
        }
        return record

    async def _retrieve(self, request: web.Request) -> web.Response:
        batch = self.batches.get(request.match_info["id"])
        return _error(404, {}) if batch is None else web.json_response(self._json(batch))

    async def _list(self, request: web.Request) -> web.Response:
        """Newest first, in pages, as the provider does it."""
        shown = [b for b in reversed(self.batches.values()) if b.record["id"] not in self.hidden]
        if after := request.query.get("after"):
            ids = [batch.record["id"] for batch in shown]
            shown = shown[ids.index(after) + 1 :]
        limit = min(int(request.query.get("limit", 20)), 3)
        page = {"object": "list", "data": [self._json(batch) for batch in shown[:limit]]}
        return web.json_response({**page, "has_more": len(shown) > limit})

    async def _cancel(self, request: web.Request) -> web.Response:
        batch = self.batches[request.match_info["id"]]
        for item in batch.outputs:
            body = next(x["body"] for x in batch.lines if x["custom_id"] == item["custom_id"])
            self.sold.remove(body)
        batch.record["cancelled_at"] = int(time.time())
        cancelled = Reply(status=0, error={"code": "batch_cancelled", "message": "cancelled"})
        batch.errors = [_item(line, cancelled) for line in batch.lines]
        batch.outputs = []
        return web.json_response(self._json(batch))


def _item(line: Json, reply: Reply) -> Json:
    """One line of an output or error file."""
    item: Json = {"id": "batch_req_1", "custom_id": line["custom_id"], "response": None}
    if reply.status == 0:
        return {**item, "error": reply.error}
    body = completion_json(line["body"], reply)
    if reply.status != 200:
        body = {"error": {"message": "told to fail", "code": None, "param": None, **reply.error}}
    item["response"] = {"status_code": reply.status, "request_id": "req", "body": body}
    return {**item, "error": None}


def _error(status: int, error: Json) -> web.Response:
    body = {"message": "told to fail", "code": None, "param": None, **error}
    return web.json_response({"error": body}, status=status)


@contextmanager
def selling(behaviour: Behaviour = echo_turns, step_s: float = 0.02) -> Iterator[FakeBatchApi]:
    """A fake batch API on a free port of this machine, until the block ends."""
    with running(FakeBatchApi(behaviour, step_s)) as api:
        yield api
