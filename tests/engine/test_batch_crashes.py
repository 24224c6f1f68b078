"""A process that buys in batches is killed at each step of a round, and run again."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from parrot_core.execution.runs import begin_run
from parrot_core.lake.batch_records import BatchRecords
from parrot_core.lake.run import Run
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.batch_child import PHASES
from tests.support.lakes.batch_runs import REQUESTS, batch_recipe, batch_run, drive_together
from tests.support.lakes.toy_stages import SEEDS
from tests.support.servers.fake_api import canonical
from tests.support.servers.fake_batch_api import FakeBatchApi, selling
from tests.support.servers.s3_server import use_s3

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The requests of a run that nothing disturbs."""
    with selling() as api:
        run = batch_run(tmp_path_factory.mktemp("whole"), api.base_url)
        drive_together(run, SynthesizeStage())
        return sorted(canonical(body) for body in api.sold)


def start(lake: str, api: FakeBatchApi, phase: str = "-", nth: int = 0) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-m",
        "tests.support.lakes.batch_child",
        lake,
        api.base_url,
        phase,
        str(nth),
    ]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def killed(process: "subprocess.Popen[str]") -> None:
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors


def check(run: Run, api: FakeBatchApi, whole: list[str]) -> None:
    """Finish the run; every answer was sold once, to requests as they would have been."""
    manifest = drive_together(run, SynthesizeStage())
    times = Counter(canonical(body) for body in api.sold)
    assert {body: n for body, n in times.items() if n > 1} == {}
    assert sorted(times) == whole
    assert manifest.accounting.rows_in == manifest.accounting.rows_out == SEEDS
    assert sum(used.requests for used in manifest.usage.values()) == REQUESTS
    spent = sum(used.prompt_tokens + used.completion_tokens for used in manifest.usage.values())
    assert manifest.usd == pytest.approx(spent * 10_000 / 1e6 / 2)
    assert BatchRecords(run.lake.storage, run.name, "synthesize").rounds() == []


@pytest.mark.parametrize("phase", PHASES)
def test_a_kill_at_any_step_of_a_round_buys_nothing_twice(
    tmp_path: Path, phase: str, whole: list[str]
) -> None:
    with selling() as api:
        run = batch_run(tmp_path, api.base_url)
        killed(start(str(tmp_path), api, phase, 2))
        check(run, api, whole)


@pytest.mark.parametrize("what", ["upload", "create", "content"])
def test_a_kill_while_the_provider_answers_buys_nothing_twice(
    tmp_path: Path, what: str, whole: list[str]
) -> None:
    with selling() as api:
        run = batch_run(tmp_path, api.base_url)
        process = start(str(tmp_path), api)

        def kill(call: str, number: int) -> None:
            if (call, number) == (what, 2):
                os.kill(process.pid, signal.SIGKILL)

        api.on = kill
        killed(process)
        api.on = lambda call, number: None
        check(run, api, whole)


def test_killed_again_and_again_on_s3(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, whole: list[str]
) -> None:
    use_s3(monkeypatch, endpoint)
    with selling() as api:
        lake = "s3://lake/batches"
        batch_run(lake, api.base_url)
        for phase in ("created, id not stored", "downloaded", "after a journal write", "in work"):
            killed(start(lake, api, phase, 1))
        check(begin_run(batch_recipe(lake, api.base_url)), api, whole)
