"""A lake with a run in progress through the real runner, its provider, its dashboard, a browser."""

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from aiohttp import web

from parrot_core.engines.limits.budget import Budget
from parrot_core.errors import ParrotError
from parrot_core.execution.runs import begin_run
from parrot_core.lake.lake import Lake
from parrot_core.lake.run import Run
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.dashboard.browser import Browser, browsing, executable
from tests.support.dashboard.dashboards import Served, dashboard, enter
from tests.support.dashboard.hostile_rows import HOSTILE, publish_hostile
from tests.support.lakes.published import Row, dialogue, publish
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import ToyModelStage, drive, synthesis
from tests.support.servers.fake_api import FakeApi, Reply, running

TURN_S = 0.3
FILTERED = "q2?"
"""The session of the first shard that the provider refuses to answer."""

FATAL = "q7?"
"""The session of the second shard at which the provider goes down."""


class Provider(FakeApi):
    """Filters one session's answer, goes down at another, and answers some when it is told to."""

    def __init__(self) -> None:
        super().__init__(self._reply)
        self._held = ["q3?", "q4?", "q5?"]
        self._down = False
        self._mended = False

    def let_go(self, *queries: str) -> None:
        """Answer the sessions that began with these, too; without any: all."""
        self._held = [each for each in self._held if queries and each not in queries]

    def mend(self) -> None:
        """Never fail again."""
        self._mended = True

    def asked(self, query: str) -> int:
        """Requests of the session that began with a query, those that still wait left out."""
        return sum(query in _texts(body) for body in list(self.requests))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        texts = _texts(await request.json())
        while any(each in texts for each in self._held):
            await asyncio.sleep(0.05)
        return await super().handle(request)

    def _reply(self, number: int, body: dict[str, Any]) -> Reply:
        texts = _texts(body)
        self._down = not self._mended and (self._down or FATAL in texts)
        if self._down:
            return Reply(status=500, error={"message": HOSTILE})
        text = f"And what about number {number} then? It says <b>{number}</b>."
        finish = "content_filter" if FILTERED in texts else "stop"
        return Reply(text, finish_reason=finish, delay_s=TURN_S)


def _texts(body: dict[str, Any]) -> str:
    return "\n".join(str(message["content"]) for message in body["messages"])


class _SmallModel(ToyModelStage):
    size: ClassVar[int] = 1024


@dataclass
class Scene:
    """What all tests of a module look at."""

    lake: Lake
    run: Run
    api: Provider
    worker: threading.Thread
    browser: Browser
    served: Served

    def path(self, rest: str = "") -> str:
        return f"/run/{self.run.name}{rest}"

    def finish(self) -> None:
        """Publish the version, if it isn't: what the tests before do, for one that runs alone."""
        if self.lake.published("dataset", "dialogues", self.run.name):
            return
        self.api.let_go()
        self.api.mend()
        if self.worker.ident is None:
            self.worker.start()
        self.worker.join(timeout=60)
        if not self.lake.published("dataset", "dialogues", self.run.name):
            words = ["retry", "test", "--shard", "synthesize:1", "--quarantined"]
            parrot = self.served.command[: self.served.command.index("dashboard")]
            retry = [*parrot, *words, "--lake", self.lake.url]
            subprocess.run(retry, env=self.served.environment, check=True, capture_output=True)


def drive_quietly(run: Run, budget: Budget | None = None) -> None:
    """Work on the synthesis, whatever becomes of it."""
    try:
        drive(run, SynthesizeStage(), budget)
    except ParrotError:
        return


def _drive_into_quarantine(run: Run) -> None:
    """The second attempt buys nothing new, and counts."""
    for _ in range(2):
        drive_quietly(run)


@contextmanager
def acting(folder: Path, work: Path) -> Iterator[Scene]:
    """The scene, its worker not started yet; a dashboard that may act."""
    executable()
    lake = Lake(str(folder))
    with (
        dashboard(folder, work) as served,
        running(Provider()) as api,
        browsing(served.base) as browser,
    ):
        _published_before(lake)
        publish_hostile(lake)
        inputs = {"conversations": "old", "parrot-ask": "old"}
        run = synthesis(folder, api.base_url, inputs=inputs, max_attempts=1)
        worker = threading.Thread(target=_drive_into_quarantine, args=(run,), daemon=True)
        enter(browser, served.entry)
        try:
            yield Scene(lake, run, api, worker, browser, served)
        finally:
            api.let_go()
            stop = [*served.command[: served.command.index("dashboard")], "server", "stop"]
            subprocess.run(stop, env=served.environment, check=False, capture_output=True)


def _published_before(lake: Lake) -> None:
    """What a run of synthesis rests on, so that its retry finds nothing else to do."""
    sessions = [dialogue(f"s{n}", [f"q{n}?", "a"], source_ids=["x"]) for n in range(12)]
    flags: list[Row] = [{"flags": ["code_only"]} if n < 5 else {"flags": []} for n in range(12)]
    sources = [
        {**row, "source_ids": [f"file.json#{n}"], **flags[n]} for n, row in enumerate(sessions)
    ]
    publish(lake, "conversations", sources, version="old")
    drive(begin_run(minimal_recipe(lake.url, name="old")), _SmallModel())
