"""Batches that outlive a run, and what later runs make of them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from parrot_core.engines.batch.rounds import LeftOpen
from parrot_core.engines.limits.limits import Budget
from parrot_core.engines.types import BudgetReached, KeyRefused
from parrot_core.errors import BatchesOpen, PartiallyFailed
from parrot_core.execution import shard_work
from parrot_core.execution.plans import unfinished
from parrot_core.execution.runs import begin_run, budget_of
from parrot_core.execution.stage_worker import open_stage
from parrot_core.lake.batch_records import BatchRecords
from parrot_core.lake.run import Run
from parrot_core.monitor.reader import RunReader
from parrot_core.monitor.state import StageSpec
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.batch_runs import (
    HASTY,
    QUICK,
    batch_recipe,
    batch_run,
    in_thread,
    open_records,
    sold,
    synthesize,
    until,
)
from tests.support.servers.fake_api import Reply
from tests.support.servers.fake_batch_api import FakeBatchApi, selling

Behaviour = Callable[[int, dict[str, Any]], Reply]


def test_a_batch_in_work_is_seen_and_left_open_when_the_run_is_ended(
    tmp_path: Path, whole: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_work, "PROGRESS_EVERY_S", 0.1)
    with selling() as api:
        api.held = True
        run = batch_run(tmp_path, api.base_url, {**QUICK, "max_requests": 4})
        with open_stage(run, SynthesizeStage(), Budget(None)) as opened:
            shard = unfinished(run, opened.plan)[0]
            attempt, failures = in_thread(lambda: opened.run_shard(shard))
            reader = RunReader(
                run.lake, run.name, [StageSpec("synthesize", "dialogues", "dataset")]
            )
            seen = {"answerer": "waiting for batch batch_0: 2/4 done"}
            until(lambda: reader.read(datetime.now(UTC)).stages[0].waiting == seen, 20)
        attempt.join()
        assert isinstance(failures[0], LeftOpen)
        assert "batch_0 with 4 requests goes on at the provider" in str(failures[0])
        api.held = False
        synthesize(run)
    assert sold(api) == whole
    assert open_records(run) == []


def interrupted(api: FakeBatchApi, run: Run, budget: Budget | None = None) -> None:
    """Leave the first round open, as a Ctrl-C does, its id kept in the lake."""
    api.held = True
    records = BatchRecords(run.lake.storage, run.name, "synthesize")
    before = set(records.rounds())
    with open_stage(run, SynthesizeStage(), budget or Budget(None)) as opened:
        attempts = [
            in_thread(lambda shard=shard: opened.run_shard(shard))[0]  # type: ignore[misc]
            for shard in unfinished(run, opened.plan)
        ]
        until(lambda: any(records.batch_id(r)[1] for r in set(records.rounds()) - before))
    for attempt in attempts:
        attempt.join()
    api.held = False


def test_open_batches_are_not_forgotten_by_a_run_that_buys_at_once(
    tmp_path: Path, whole: list[str]
) -> None:
    with selling() as api:
        run = batch_run(tmp_path, api.base_url)
        interrupted(api, run)
        direct = begin_run(batch_recipe(tmp_path, api.base_url, batch={}))
        with pytest.raises(BatchesOpen, match=r"engines\.answerer\.batch"):
            synthesize(direct)
        synthesize(run)
    assert sold(api) == whole


def test_another_account_is_told_from_a_batch_that_is_gone(
    tmp_path: Path, whole: list[str]
) -> None:
    with selling() as api:
        run = batch_run(tmp_path, api.base_url)
        interrupted(api, run)
        elsewhere = dict(api.batches)
        api.batches.clear()
        with pytest.raises(KeyRefused, match=r"batch batch_0: HTTP 404.*bought again"):
            synthesize(run)
        assert not api.batches
        api.batches = elsewhere
        synthesize(run)
    assert sold(api) == whole


def test_a_round_that_passes_the_budget_is_not_ordered(tmp_path: Path, whole: list[str]) -> None:
    with selling() as api:
        run = batch_run(tmp_path, api.base_url, budget_usd=1)
        with pytest.raises(BudgetReached, match="paused: budget"):
            synthesize(run, Budget(1))
        assert not api.batches
        synthesize(run, Budget(None))
    assert sold(api) == whole


def test_what_was_ordered_before_counts_against_the_budget_until_it_is_journaled(
    tmp_path: Path,
) -> None:
    with selling() as api:
        run = batch_run(tmp_path, api.base_url, budget_usd=10_000)
        interrupted(api, run)
        budget = budget_of(run)
        free = budget.free_usd
        api.held = True
        with open_stage(run, SynthesizeStage(), budget) as opened:
            attempts = [
                in_thread(lambda shard=shard: opened.run_shard(shard))[0]  # type: ignore[misc]
                for shard in unfinished(run, opened.plan)
            ]
            until(lambda: budget.free_usd < free)
            assert len(api.batches) == 1
            api.held = False
            for attempt in attempts:
                attempt.join()
        manifest = opened.publish()
    assert budget.spent_usd == pytest.approx(manifest.usd)
    assert budget.free_usd == pytest.approx(free - manifest.usd)


def test_a_worker_that_was_too_slow_to_order_a_round_cancels_it(
    tmp_path: Path, whole: list[str]
) -> None:
    """Another worker took the shard over, looked for the batch in vain and gave the round up."""

    def give_up(what: str, number: int) -> None:
        if (what, number) == ("create", 1):
            records = BatchRecords(run.lake.storage, run.name, "synthesize")
            assert records.decide(records.rounds()[0], None) is None

    with selling() as api:
        api.on = give_up
        run = batch_run(tmp_path, api.base_url)
        synthesize(run)
    assert api.asked["cancel"] == 1
    assert sold(api) == whole


def test_a_line_that_is_no_result_is_not_guessed_at(tmp_path: Path, whole: list[str]) -> None:
    with selling() as api:

        def damage(what: str, number: int) -> None:
            if what == "retrieve":
                for name in list(api.files):
                    if name.startswith("file-output-batch_0"):
                        lines = api.files[name].splitlines(keepends=True)
                        api.files[name] = b"".join(lines[:-1]) + lines[-1][:50]

        api.on = damage
        run = batch_run(tmp_path, api.base_url, HASTY)
        with pytest.raises(PartiallyFailed, match="a line that is no batch result"):
            synthesize(run)
        api.on = lambda what, number: None
        synthesize(run)
    assert sold(api) == whole


def test_the_intent_of_a_round_names_its_requests_by_the_journals_keys(tmp_path: Path) -> None:
    with selling() as api:
        run = batch_run(tmp_path, api.base_url)
        interrupted(api, run)
        records = BatchRecords(run.lake.storage, run.name, "synthesize")
        (intent,) = records.intents(records.rounds())
        sent = {json.loads(line)["custom_id"] for line in api.files["file-0"].splitlines()}
    assert {key for keys in intent.orders.values() for key in keys} == sent
    assert sorted(intent.orders) == [0, 1, 2]
    assert intent.engine == "answerer"
    assert records.batch_id(intent.round) == ("batch_0", True)
