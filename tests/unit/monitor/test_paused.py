"""A run that stands still says why, and is not called failed."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from parrot_cli.run_view import PlainProgress
from parrot_cli.status_view import StageLines, render_shards, render_status
from parrot_core.lake.lake import Lake
from parrot_core.monitor import RunState, read_run
from tests.support.lakes.run_state import (
    NOW,
    RUN,
    STAGES,
    ago,
    begin,
    failure,
    plan,
    progress,
    receipt,
)

REFUSES = "paused: provider of 'judge' refuses, HTTP 429 since 12:00:00 UTC, next try 12:05:00 UTC"
BROKE = "paused: budget. $4.90 of $5.00 is spent; resume with --set budget_usd=10"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    opened = Lake(str(tmp_path))
    begin(opened)
    plan(opened, "synthesize", [10, 10, 10])
    return opened


def state(lake: Lake) -> RunState:
    return read_run(lake, RUN, STAGES, NOW)


def text_of(*parts: object) -> str:
    out = io.StringIO()
    Console(file=out, width=160, color_system=None).print(*parts)
    return out.getvalue()


def at_work(lake: Lake, shard: int, **paused: str) -> None:
    times = {"started_at": ago(50), "updated_at": ago(1)}
    progress(lake, "synthesize", shard, done=3, paused=paused, **times)


def test_a_provider_that_refuses_is_shown_with_the_next_try(lake: Lake) -> None:
    at_work(lake, 0, judge=REFUSES)
    at_work(lake, 1, judge=REFUSES)
    found = state(lake)
    stage = found.stage("synthesize")
    assert stage is not None
    assert (found.status, stage.status, stage.pause) == ("paused", "paused", REFUSES)
    assert "HTTP 429 since 12:00:00 UTC" in text_of(render_status(found))
    assert "HTTP 429 since 12:00:00 UTC" in text_of(StageLines(found))
    out = io.StringIO()
    PlainProgress(Console(file=out, width=160)).show(found, NOW)
    assert "synthesize: paused, provider of 'judge' refuses" in out.getvalue()
    assert found.to_json()["stages"][3]["shards"][0]["paused"] == {"judge": REFUSES}


def test_a_stage_runs_as_long_as_one_of_its_workers_does(lake: Lake) -> None:
    at_work(lake, 0, judge=REFUSES)
    at_work(lake, 1)
    found = state(lake)
    assert found.status == "running"
    assert "refuses" in text_of(render_status(found))


def test_without_money_the_run_is_paused_not_failed(lake: Lake) -> None:
    receipt(lake, "synthesize", 0, 10, {}, started_at=ago(60), ended_at=ago(50))
    at_work(lake, 1)
    failure(
        *(lake, "synthesize", 1, 1),
        error_type="BudgetReached",
        message=BROKE,
        started_at=ago(50),
        ended_at=ago(0),
    )
    found = state(lake)
    stage = found.stage("synthesize")
    assert stage is not None
    assert (found.status_text, stage.status) == ("budget reached", "budget_reached")
    assert [shard.status for shard in stage.shards] == ["done", "paused", "waiting"]
    text = text_of(render_status(found))
    assert BROKE in text
    assert "parrot retry" not in text


def test_a_real_failure_beside_the_pause_is_a_failure(lake: Lake) -> None:
    for shard, kind in enumerate(["BudgetReached", "StorageError", "BudgetReached"]):
        times = {"started_at": ago(50), "ended_at": ago(40)}
        failure(lake, "synthesize", shard, 1, error_type=kind, message=BROKE, **times)
    assert state(lake).status == "failed"


def test_every_shard_shows_what_it_cost(lake: Lake) -> None:
    used = {"judge": {"model": "m", "prompt_tokens": 9, "completion_tokens": 1, "usd": 1.25}}
    receipt(lake, "synthesize", 0, 10, {}, started_at=ago(9), ended_at=ago(5), usage=used)
    line = next(
        line for line in text_of(render_shards(state(lake))).splitlines() if "10/10" in line
    )
    assert line.split()[:3] == ["synthesize", "0", "done"]
    assert "$1.25" in line
