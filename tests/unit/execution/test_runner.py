import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from parrot_core.engines.limits.limits import Budget
from parrot_core.engines.types import BudgetReached, KeyRefused
from parrot_core.errors import (
    AccountingError,
    CorruptFile,
    MissingRun,
    PartiallyFailed,
    RecipeChanged,
    ShardHeld,
    VersionConflict,
)
from parrot_core.execution.attempt import run_shard
from parrot_core.execution.plans import plan_stage
from parrot_core.execution.publication import publish_stage
from parrot_core.execution.runs import begin_run, open_run
from parrot_core.execution.stage_worker import open_stage
from parrot_core.lake.lake import Lake
from parrot_core.lake.leases import Lease, LeaseTimes
from parrot_core.lake.run_records import StageRecords
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.stages.base import ShardWork
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SEEDS, SeedStage, drive, synthesis
from tests.support.servers.fake_api import Reply, canonical, echo_turns, serving


def test_a_version_is_published_with_closing_accounts(tmp_path: Path) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))
    manifest = drive(run, SeedStage())
    assert manifest.accounting.rows_in == 6
    assert manifest.accounting.rows_out == 3
    assert manifest.accounting.rejected == {"query_too_short": 3}
    version = run.lake.dataset("seeds", "test")
    assert [row["id"] for row in version.rows()] == ["s0", "s1", "s2"]
    assert {row["reason"] for row in version.rejects()} == {"query_too_short"}
    assert version.frame(["id"]).height == 3


def test_one_failed_shard_leaves_the_others_done_and_is_named(tmp_path: Path) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))
    stage = SeedStage()
    stage.failing = {1}
    with pytest.raises(PartiallyFailed, match="shard 1: shard 1 can't be read") as failure:
        drive(run, stage)
    assert failure.value.failures.keys() == {1}
    assert not run.lake.published("dataset", "seeds", "test")

    stage.failing = set()
    stage.processed = []
    drive(run, stage)
    assert stage.processed == [1]


def test_a_finished_shard_is_not_done_again(tmp_path: Path) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))
    stage = SeedStage(1)
    shard = stage.plan(run)[0]
    first = run_shard(run, stage, shard, None)
    assert run_shard(run, stage, shard, None) == first
    assert stage.processed == [0]


FAST = LeaseTimes(expiry_s=1.0, renew_s=0.1, poll_s=0.02)


def in_thread(call: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Run ``call`` beside the test; its result, or what it raised, ends up in the list."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(call())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


class GatedStage(SeedStage):
    """Waits inside a shard until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__(1)
        self.inside = threading.Event()
        self.gate = threading.Event()

    def process(self, work: ShardWork) -> None:
        self.inside.set()
        assert self.gate.wait(20)
        super().process(work)


def test_a_shard_that_a_live_worker_has_in_work_is_not_begun_and_its_worker_named(
    tmp_path: Path,
) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))
    slow = GatedStage()
    shard = slow.plan(run)[0]
    thread, outcome = in_thread(lambda: run_shard(run, slow, shard, None, "first", FAST))
    assert slow.inside.wait(20)
    second = SeedStage(1)
    with pytest.raises(ShardHeld, match=r"run 'test', shard 0 of 'seeds' is in work at first"):
        run_shard(run, second, shard, None, "second", FAST)
    with (
        pytest.raises(PartiallyFailed, match="shard 0: in work at first"),
        open_stage(run, second, Budget(None)) as opened,
    ):
        opened.publish()
    slow.gate.set()
    thread.join()
    assert run_shard(run, second, shard, None, "second", FAST) == outcome[0]
    assert (slow.processed, second.processed) == ([0], [])
    assert StageRecords(run.lake.storage, "test", "seeds").shard(0).failures() == []


def test_a_worker_that_was_superseded_gets_its_successors_receipt_and_records_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))
    paused = GatedStage()
    shard = paused.plan(run)[0]
    monkeypatch.setattr(Lease, "renew", Lease.check)  # alive, but never says so
    thread, outcome = in_thread(lambda: run_shard(run, paused, shard, None, "first", FAST))
    assert paused.inside.wait(20)
    receipt = run_shard(run, SeedStage(1), shard, None, "second", FAST)
    before = {path: run.lake.storage.read_bytes(path) for path in run.lake.storage.list("")}
    paused.gate.set()
    thread.join()
    assert outcome == [receipt]
    assert (receipt.worker, receipt.epoch) == ("second", 2)
    after = {path: run.lake.storage.read_bytes(path) for path in run.lake.storage.list("")}
    assert after == before


def test_a_commit_whose_receipt_was_not_filed_is_not_done_again(tmp_path: Path) -> None:
    """Killed between the commit and the copy of the receipt that listings find."""
    run = begin_run(minimal_recipe(str(tmp_path)))
    stage = SeedStage(1)
    shard = stage.plan(run)[0]
    first = run_shard(run, stage, shard, None)
    run.lake.storage.delete(["runs/test/seeds/shards/00000/receipt.json"])
    assert drive(run, stage).accounting.rows_out == 1
    assert stage.processed == [0]
    assert StageRecords(run.lake.storage, "test", "seeds").shard(0).receipt() == first


def test_what_losing_attempts_left_is_not_in_the_folder_of_a_published_version(
    tmp_path: Path,
) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))
    folder = "datasets/seeds/test"
    for path in ("shards/00000-aaaaaaaaaaaa-0.parquet", "rejects/00001-aaaaaaaaaaaa-0.parquet"):
        run.lake.storage.write_bytes(f"{folder}/{path}", b"of a worker that was killed")
    run.lake.storage.write_bytes(f"{folder}/NOTES.md", b"of a person")
    manifest = drive(run, SeedStage())
    named = {entry.path for entry in (*manifest.files, *manifest.reject_files)}
    there = {path.removeprefix(f"{folder}/") for path in run.lake.storage.list(folder)}
    assert there == named | {"manifest.json", "NOTES.md"}


def test_of_two_publishers_of_the_same_shards_both_have_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))
    stage = SeedStage()
    first = drive(run, stage)
    monkeypatch.setattr(Lake, "published", lambda *_: False)  # it looked a moment too early
    assert publish_stage(run, stage, plan_stage(run, stage)) == first
    with pytest.raises(VersionConflict):
        run.lake.publish(first.model_copy(update={"commit_id": "another"}))


def test_a_row_that_vanished_is_refused(tmp_path: Path) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))
    stage = SeedStage(1)
    stage.lost = {0}
    with pytest.raises(AccountingError, match=r"2 rows in, but 1 out \+ 0 rejected"):
        run_shard(run, stage, stage.plan(run)[0], None)


def test_a_reason_outside_the_closed_list_is_refused(tmp_path: Path) -> None:
    class Inventive(SeedStage):
        def process(self, work: ShardWork) -> None:
            work.reject("r", [], "because", {})

    run = begin_run(minimal_recipe(str(tmp_path)))
    with pytest.raises(ValueError, match="because"):
        run_shard(run, Inventive(1), ShardPlan(0, params={"seed": 0}), None)


def test_a_run_with_another_recipe_is_refused_and_the_difference_shown(tmp_path: Path) -> None:
    begin_run(minimal_recipe(str(tmp_path), seed=1))
    with pytest.raises(RecipeChanged, match="seed: 1 → 2"):
        begin_run(minimal_recipe(str(tmp_path), seed=2))


def test_operational_values_may_change_between_attempts(tmp_path: Path) -> None:
    begin_run(minimal_recipe(str(tmp_path), budget_usd=1))
    begin_run(minimal_recipe(str(tmp_path), budget_usd=2, shards_at_once=9))


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    begin_run(minimal_recipe(str(tmp_path)))
    with pytest.raises(MissingRun, match=r"'other'.*test"):
        open_run(Lake(str(tmp_path)), "other")
    assert open_run(Lake(str(tmp_path)), "test").recipe.name == "test"


def test_a_flipped_bit_is_found_on_read_and_by_verify(tmp_path: Path) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))
    manifest = drive(run, SeedStage(1))
    path = tmp_path / "datasets/seeds/test" / manifest.files[0].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    version = run.lake.dataset("seeds", "test")
    with pytest.raises(CorruptFile):
        version.table()
    assert len(list(version.problems())) == 1


def test_every_seed_becomes_a_dialogue_that_leads_back_to_it(tmp_path: Path) -> None:
    with serving() as api:
        run = synthesis(tmp_path, api.base_url)
        manifest = drive(run, SynthesizeStage())
    rows = list(run.lake.dataset("dialogues", "test").rows())
    assert sorted(row["source_ids"][0] for row in rows) == sorted(f"s{i}" for i in range(SEEDS))
    assert all(row["n_turns"] == 4 and len(row["provenance"]) == 8 for row in rows)
    assert manifest.usage["answerer"].requests == SEEDS * 4
    assert manifest.usage["asker"].requests == SEEDS * 3
    assert run.lake.storage.list("runs/test/synthesize/shards/00000/journal") == []


@pytest.mark.parametrize("stop_after", [1, 5, 17, 40])
def test_no_answer_is_bought_twice_and_resumed_requests_are_the_same(
    tmp_path: Path, stop_after: int
) -> None:
    with serving() as api:
        drive(synthesis(tmp_path / "whole", api.base_url), SynthesizeStage())
        expected = sorted(canonical(body) for body in api.requests)

    def breaks(number: int, body: dict[str, Any]) -> Reply:
        return Reply(status=500) if number > stop_after else echo_turns(number, body)

    with serving(breaks) as api:
        run = synthesis(tmp_path / "broken", api.base_url)
        with pytest.raises(PartiallyFailed):
            drive(run, SynthesizeStage())
        answered = [canonical(body) for body in api.requests[:stop_after]]
        api.behaviour = echo_turns
        api.requests.clear()
        drive(run, SynthesizeStage())
        resumed = [canonical(body) for body in api.requests]
    assert set(answered) & set(resumed) == set()
    assert sorted(answered + resumed) == expected


def test_a_budget_pauses_the_run_and_a_higher_one_resumes_it(tmp_path: Path) -> None:
    with serving() as api:
        run = synthesis(tmp_path, api.base_url, budget_usd=20)
        with pytest.raises(BudgetReached):
            drive(run, SynthesizeStage(), Budget(20))
        bought = len(api.requests)
        assert 0 < bought < SEEDS * 7
        drive(run, SynthesizeStage(), Budget(None))
        assert len(api.requests) == SEEDS * 7


def test_a_session_that_is_refused_too_early_is_rejected_with_its_reason(tmp_path: Path) -> None:
    def refuse_one(number: int, body: dict[str, Any]) -> Reply:
        if body["messages"][0]["content"] == "q3?":
            return Reply(status=400, error={"code": "content_filter"})
        return echo_turns(number, body)

    with serving(refuse_one) as api:
        run = synthesis(tmp_path, api.base_url)
        manifest = drive(run, SynthesizeStage())
    assert manifest.accounting.rejected == {"content_filter": 1}
    assert manifest.accounting.rows_out == SEEDS - 1
    assert [r["source_ids"] for r in run.lake.dataset("dialogues", "test").rejects()] == [["s3"]]


def test_any_parquet_reader_reads_a_version(tmp_path: Path) -> None:
    run = begin_run(minimal_recipe(str(tmp_path)))
    drive(run, SeedStage())
    assert pq.read_table(tmp_path / "datasets/seeds/test/shards").num_rows == 3


def test_answers_on_their_way_when_the_run_stops_are_kept(tmp_path: Path) -> None:
    """They are charged all the same: stopping must not throw them away."""

    def refuse_one(number: int, body: dict[str, Any]) -> Reply:
        if number == 4:
            return Reply(status=401)
        reply = echo_turns(number, body)
        return Reply(reply.text, delay_s=0.3)

    with serving(refuse_one) as api:
        run = synthesis(tmp_path, api.base_url)
        with pytest.raises(KeyRefused):
            drive(run, SynthesizeStage())
        answered = {canonical(body) for n, body in enumerate(api.requests, 1) if n != 4}
        assert len(answered) >= 3
        api.behaviour = echo_turns
        api.requests.clear()
        drive(run, SynthesizeStage())
    assert not answered & {canonical(body) for body in api.requests}
    assert len(api.requests) == SEEDS * 7 - len(answered)


def test_a_prompt_that_always_fails_costs_its_row_and_no_other(tmp_path: Path) -> None:
    def answer(number: int, body: dict[str, Any]) -> Reply:
        poison = body["messages"][0]["content"] == "q3?"
        return Reply(status=500) if poison else echo_turns(number, body)

    with serving(answer) as api:
        engine = {"kind": "openai", "model": "m", "base_url": api.base_url, "api_key_env": None}
        engine["limits"] = {"concurrency": 4, "max_retries": 1}
        engines = {"asker": engine, "answerer": engine, "judge": engine}
        run = synthesis(tmp_path, api.base_url, engines=engines)
        stage = SynthesizeStage()
        manifest = drive(run, stage, Budget(None))
    sent = Counter(canonical(body) for body in api.requests)
    assert sorted(sent.values())[-2] == 1  # all but the poison
    assert max(sent.values()) == 3  # once more after a small request was answered
    assert manifest.accounting.rows_out == SEEDS - 1
    assert manifest.accounting.rejected == {"provider_error": 1}


def test_a_prompt_that_always_fails_while_nothing_else_is_asked_is_no_outage(
    tmp_path: Path,
) -> None:
    poison = "q2?"

    def answer(number: int, body: dict[str, Any]) -> Reply:
        if body["messages"][0]["content"] == poison:
            return Reply(status=500)
        return echo_turns(number, body)

    with serving(answer) as api:
        engine = {"kind": "openai", "model": "m", "base_url": api.base_url, "api_key_env": None}
        price = {"input_per_million": 10_000, "output_per_million": 10_000, "as_of": "2026-01-01"}
        engine |= {"limits": {"max_retries": 1, "pause_after_s": 0.1}, "price": price}
        engines = {"asker": engine, "answerer": engine, "judge": engine}
        shape = {"max_turns": 2, "min_turns": 2, "sessions_per_shard": SEEDS}
        shape["sessions_in_flight"] = 1
        run = synthesis(tmp_path, api.base_url, engines=engines, synthesize=shape)
        stage = SynthesizeStage()
        manifest = drive(run, stage, Budget(None))
    assert manifest.accounting.rejected == {"provider_error": 1}
    answered = [body for body in api.requests if body["messages"][0]["content"] != poison]
    probes = [body for body in answered if body["messages"][0]["content"] == "Hi"]
    assert len(probes) == 1
    assert sum(used.requests for used in manifest.usage.values()) == len(answered)
    assert manifest.usd == pytest.approx(
        sum(
            0.01 * (each.prompt_tokens + each.completion_tokens) for each in manifest.usage.values()
        )
    )


def test_what_a_killed_attempt_left_on_the_local_disk_is_removed_by_the_next(
    tmp_path: Path,
) -> None:
    run = begin_run(minimal_recipe(str(tmp_path / "lake")))
    stage = SeedStage(1)
    left = run.work_dir / "shards" / "seeds-00000" / "parrot-shard-killed"
    left.mkdir(parents=True)
    (left / "part.parquet").write_bytes(b"half")
    run_shard(run, stage, stage.plan(run)[0], None)
    assert not left.parent.exists()


def test_a_run_is_gone_on_with_by_the_recipe_in_force(tmp_path: Path) -> None:
    begin_run(minimal_recipe(str(tmp_path), budget_usd=1.0))
    begin_run(minimal_recipe(str(tmp_path), budget_usd=5.0))
    assert open_run(Lake(str(tmp_path)), "test").recipe.budget_usd == 5.0


def test_a_clock_that_was_set_back_gives_no_negative_duration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "parrot_core.execution.plans.utc_now", lambda: "2099-01-01T00:00:00.000+00:00"
    )
    assert drive(begin_run(minimal_recipe(str(tmp_path))), SeedStage()).seconds == 0.0
