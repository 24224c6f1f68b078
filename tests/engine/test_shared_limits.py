"""Three real processes on one run: each limit and the cap hold for all of them together."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from parrot_core.engines.limits.limits import Budget
from parrot_core.execution.plans import plan_stage
from parrot_core.execution.runs import begin_run
from parrot_core.lake.run import Run
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SeedStage, drive
from tests.support.servers.fake_api import FakeApi, Reply, canonical, serving
from tests.support.servers.s3_server import use_s3

pytestmark = pytest.mark.engine

WORKERS = 3
SESSIONS = 24
REQUESTS = SESSIONS * 7  # four answers and three questions
CONCURRENCY, RPM, TPM = 7, 1200, 24_000
USD_PER_TOKEN = 0.01

WORKER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from parrot_core.stages.synthesis.stage import SynthesizeStage
from parrot_core.engines.types import BudgetReached
from parrot_core.lake.lake import Lake
from parrot_core.execution.runs import budget_of, open_run
from parrot_core.execution.stage_worker import open_stage

number, workers, lake = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
run, stage = open_run(Lake(lake), "test"), SynthesizeStage()
with open_stage(run, stage, budget_of(run)) as opened:
    print("up", flush=True)
    mine = [shard for shard in opened.plan.shards if shard.index % workers == number]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(opened.run_shard, shard) for shard in mine]:
            try:
                done.result()
            except BudgetReached as error:
                print(error, flush=True)
                sys.exit(3)
"""


class Watch:
    """When each request came, what it took, and how many were there at once."""

    def __init__(self) -> None:
        self.came: list[tuple[float, int]] = []

    def answer(self, number: int, body: dict[str, Any]) -> Reply:
        said = " ".join(m["content"] for m in body["messages"])
        text = f"reply {len(body['messages'])} to {said.split()[-1]}"
        self.came.append((time.monotonic(), len(said.split()) + len(text.split())))
        return Reply(text, delay_s=0.15)

    @property
    def usd(self) -> float:
        return sum(tokens for _, tokens in self.came) * USD_PER_TOKEN

    def most_in(self, seconds: float) -> tuple[int, int]:
        """Most requests and tokens in any span."""
        spans = [
            [tokens for at, tokens in self.came if start <= at < start + seconds]
            for start, _ in self.came
        ]
        return max(map(len, spans)), max(map(sum, spans))


def prepared(lake: Path | str, base_url: str, **changes: Any) -> Run:
    per_million = USD_PER_TOKEN * 1e6
    price = {"input_per_million": per_million, "output_per_million": per_million}
    engine = {"kind": "openai", "model": "m", "base_url": base_url, "api_key_env": None}
    limits = {"concurrency": CONCURRENCY, "requests_per_minute": RPM, "tokens_per_minute": TPM}
    engine |= {"limits": limits, "price": {**price, "as_of": "2026-01-01"}}
    recipe = minimal_recipe(
        str(lake),
        base_url,
        engines={"asker": engine, "answerer": engine, "judge": engine},
        synthesize={
            "max_turns": 4,
            "sessions_per_shard": 3,
            "ask": {"max_tokens": 8},
            "answer": {"max_tokens": 8},
        },
        **changes,
    )
    run = begin_run(recipe)
    drive(run, SeedStage(SESSIONS))
    plan_stage(run, SynthesizeStage())
    return run


@contextmanager
def workers(lake: Path | str) -> Iterator[list["subprocess.Popen[str]"]]:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(number), str(WORKERS), str(lake)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(WORKERS)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def finish(run: Run, api: FakeApi) -> None:
    """Do the rest alone; nothing is bought twice."""
    drive(run, SynthesizeStage(), Budget(None))
    assert len({canonical(body) for body in api.requests}) == REQUESTS


def test_requests_tokens_and_concurrency_of_three_processes_stay_within_the_limits(
    tmp_path: Path,
) -> None:
    watch = Watch()
    with serving(watch.answer) as api:
        run = prepared(tmp_path, api.base_url)
        with workers(tmp_path) as started:
            assert all(process.wait(60) == 0 for process in started)
        assert len(api.requests) == REQUESTS
        assert api.most_in_flight <= CONCURRENCY
        requests, tokens = watch.most_in(4.0)
        assert requests <= RPM / 60 * 5
        assert tokens <= TPM / 60 * 5
        took = watch.came[-1][0] - watch.came[0][0]
        assert took < 4 * REQUESTS / (RPM / 60)  # and the limits are used
        records = run.lake.storage.list("runs/test/workers")
        assert records == []
        finish(run, api)


def test_three_processes_stop_before_the_cap_and_a_higher_one_resumes(tmp_path: Path) -> None:
    watch = Watch()
    cap = 8.0
    with serving(watch.answer) as api:
        run = prepared(tmp_path, api.base_url, budget_usd=cap)
        with workers(tmp_path) as started:
            said = [process.communicate(timeout=60)[0] for process in started]
            assert [process.returncode for process in started] == [3, 3, 3]
        assert all("paused: budget" in text for text in said)
        worst = (200 + 8 * 9 + 8) * USD_PER_TOKEN  # of one request
        assert cap - (WORKERS + 1) * worst <= watch.usd <= cap
        finish(run, api)
        assert len(api.requests) == REQUESTS


def test_on_s3_too_the_limits_and_the_cap_hold_for_all_processes(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cap = 8.0
    watch = Watch()
    monkeypatch.setenv("PARROT_WORK", str(tmp_path / "work"))
    use_s3(monkeypatch, endpoint)
    with serving(watch.answer) as api:
        lake = "s3://lake/shared"
        run = prepared(lake, api.base_url, budget_usd=cap)
        with workers(lake) as started:
            assert [process.wait(90) for process in started] == [3, 3, 3]
        assert watch.usd <= cap
        with workers(lake) as started:  # no richer than before
            assert [process.wait(90) for process in started] == [3, 3, 3]
        assert watch.usd <= cap
        finish(run, api)
        assert api.most_in_flight <= CONCURRENCY
        assert watch.most_in(4.0)[0] <= RPM / 60 * 5
        assert len(api.requests) == REQUESTS


def test_a_killed_process_leaves_its_share_and_its_money_to_the_others(tmp_path: Path) -> None:
    watch = Watch()
    with serving(watch.answer) as api:
        run = prepared(tmp_path, api.base_url, budget_usd=500)
        with workers(tmp_path) as started:
            deadline = time.monotonic() + 40
            while len(api.requests) < 30 and time.monotonic() < deadline:
                time.sleep(0.05)
            started[0].kill()
            assert [process.wait(60) for process in started[1:]] == [0, 0]
        assert api.most_in_flight <= CONCURRENCY
        finish(run, api)
        assert REQUESTS <= len(api.requests) <= REQUESTS + CONCURRENCY
        manifest = json.loads((tmp_path / "datasets/dialogues/test/manifest.json").read_text())
        paid = sum(used["usd"] for used in manifest["usage"].values())
        assert paid <= watch.usd + 1e-6
