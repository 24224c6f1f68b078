import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from parrot_core.engines.batch.rounds import LeftOpen
from parrot_core.engines.limits.limits import Budget
from parrot_core.engines.types import BudgetReached, KeyRefused, RunError
from parrot_core.errors import BatchesOpen, PartiallyFailed
from parrot_core.execution import shard_work
from parrot_core.execution.plans import unfinished
from parrot_core.execution.runs import begin_run, budget_of
from parrot_core.execution.stage_worker import open_stage
from parrot_core.lake.batch_records import BatchRecords
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.run import Run
from parrot_core.monitor.reader import RunReader
from parrot_core.monitor.state import StageSpec
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.batch_runs import (
    HASTY,
    QUICK,
    REQUESTS,
    ROUNDS,
    batch_recipe,
    batch_run,
    drive_together,
)
from tests.support.lakes.toy_stages import SEEDS
from tests.support.servers.fake_api import Reply, canonical, echo_turns
from tests.support.servers.fake_batch_api import EXPIRED, TIMED_OUT, FakeBatchApi, Fate, selling

Behaviour = Callable[[int, dict[str, Any]], Reply]


def synthesize(run: Run, budget: Budget | None = None) -> Manifest:
    return drive_together(run, SynthesizeStage(), budget)


def sold(api: FakeBatchApi) -> list[str]:
    return sorted(canonical(body) for body in api.sold)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The requests of a run that nothing disturbs."""
    with selling() as api:
        synthesize(batch_run(tmp_path_factory.mktemp("whole"), api.base_url))
        return sold(api)


def open_records(run: Run) -> list[str]:
    return BatchRecords(run.lake.storage, run.name, "synthesize").rounds()


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[BaseException]]:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, failures


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it didn't happen"
        time.sleep(0.01)


def test_a_batch_buys_the_same_requests_at_half_the_price(tmp_path: Path) -> None:
    with selling() as api:
        at_once = synthesize(batch_run(tmp_path / "once", api.base_url, batch={}))
        expected = sorted(canonical(body) for body in api.requests)
        api.requests.clear()
        run = batch_run(tmp_path / "batch", api.base_url)
        manifest = synthesize(run)
    assert sold(api) == expected
    assert manifest.accounting == at_once.accounting
    for engine in ("asker", "answerer"):
        batched, direct = manifest.usage[engine], at_once.usage[engine]
        assert batched.usd == pytest.approx(direct.usd / 2)
        assert (batched.requests, batched.prompt_tokens, batched.completion_tokens) == (
            direct.requests,
            direct.prompt_tokens,
            direct.completion_tokens,
        )
    assert open_records(run) == []


def test_all_shards_of_a_stage_share_a_round(tmp_path: Path) -> None:
    with selling() as api:
        synthesize(batch_run(tmp_path, api.base_url, {**QUICK, "max_wait_s": 60}))
    assert len(api.batches) == ROUNDS
    assert all(len(batch.lines) == SEEDS for batch in api.batches.values())


def test_a_round_is_cut_at_the_providers_limit(tmp_path: Path) -> None:
    with selling() as api:
        synthesize(batch_run(tmp_path, api.base_url, {**QUICK, "max_requests": 5}))
    assert max(len(batch.lines) for batch in api.batches.values()) == 5
    assert len(api.sold) == REQUESTS


def once(reply: Reply) -> Behaviour:
    """Fail the first request of each conversation, and never again."""
    failed: set[str] = set()

    def behave(number: int, body: dict[str, Any]) -> Reply:
        key = canonical(body)
        if len(body["messages"]) == 1 and key not in failed:
            failed.add(key)
            return reply
        return echo_turns(number, body)

    return behave


@pytest.mark.parametrize(
    "reply",
    [Reply(status=429), Reply(status=500), EXPIRED, TIMED_OUT],
    ids=["429", "500", "expired", "timed-out"],
)
def test_what_passes_is_asked_again_in_the_next_batch(
    tmp_path: Path, reply: Reply, whole: list[str]
) -> None:
    with selling(once(reply)) as api:
        manifest = synthesize(batch_run(tmp_path, api.base_url, HASTY))
    assert manifest.accounting.rows_out == SEEDS
    assert len(api.requests) == REQUESTS + SEEDS
    assert sold(api) == whole


def test_what_never_passes_stops_the_shard_in_the_end(tmp_path: Path) -> None:
    with selling(lambda number, body: Reply(status=503)) as api:
        run = batch_run(tmp_path, api.base_url, HASTY)
        with pytest.raises(PartiallyFailed, match="failed in 3 batches, the last: HTTP 503"):
            synthesize(run)
    assert len(api.requests) == 3 * SEEDS
    assert open_records(run) == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [({"code": "content_filter"}, "content_filter"), ({}, "request_refused")],
)
def test_a_refused_request_ends_its_row_alone(
    tmp_path: Path, error: dict[str, Any], reason: str
) -> None:
    def refuse_one(number: int, body: dict[str, Any]) -> Reply:
        if body["messages"][0]["content"] == "q3?":
            return Reply(status=400, error=error)
        return echo_turns(number, body)

    with selling(refuse_one) as api:
        run = batch_run(tmp_path, api.base_url, HASTY)
        manifest = synthesize(run)
    assert manifest.accounting.rejected == {reason: 1}
    assert manifest.accounting.rows_out == SEEDS - 1
    assert open_records(run) == []


def test_an_expired_batch_is_paid_for_as_far_as_it_came_and_the_rest_asked_again(
    tmp_path: Path, whole: list[str]
) -> None:
    with selling() as api:
        api.fate = lambda number, lines: Fate("expired" if number == 1 else "completed")
        manifest = synthesize(batch_run(tmp_path, api.base_url, HASTY))
    assert manifest.accounting.rows_out == SEEDS
    assert sold(api) == whole


def test_a_batch_that_fails_its_validation_stops_the_run_and_says_why(
    tmp_path: Path, whole: list[str]
) -> None:
    why = {"code": "model_not_supported", "message": "not in batches", "line": 1}
    with selling() as api:
        api.fate = lambda number, lines: Fate("failed", (why,))
        run = batch_run(tmp_path, api.base_url, HASTY)
        with pytest.raises(RunError, match="batch_0, failed as a whole: model_not_supported: not"):
            synthesize(run)
        assert open_records(run) == []
        api.fate = lambda number, lines: Fate()
        synthesize(run)
    assert sold(api) == whole


def test_a_cancelled_batch_stops_the_run_and_the_next_one_asks_for_the_rest(
    tmp_path: Path, whole: list[str]
) -> None:
    with selling() as api:
        api.fate = lambda number, lines: Fate("cancelled" if number == 1 else "completed")
        run = batch_run(tmp_path, api.base_url, HASTY)
        with pytest.raises(RunError, match="batch_1 was cancelled"):
            synthesize(run)
        synthesize(run)
    assert sold(api) == whole


def test_a_provider_without_room_is_asked_for_less(tmp_path: Path, whole: list[str]) -> None:
    with selling() as api:
        api.most_open_requests = 5
        manifest = synthesize(batch_run(tmp_path, api.base_url, HASTY))
    assert manifest.accounting.rows_out == SEEDS
    assert sold(api) == whole


HUNG_UP = Reply(hang_up=True)


@pytest.mark.parametrize(
    ("what", "reply"),
    [
        ("upload", HUNG_UP),
        ("create", Reply(status=429)),
        ("create", Reply(status=500)),
        ("create", HUNG_UP),
        ("retrieve", Reply(status=500)),
        ("content", HUNG_UP),
    ],
    ids=["upload", "create-429", "create-500", "create-hang-up", "retrieve", "content"],
)
def test_an_answer_that_got_lost_buys_nothing_twice(
    tmp_path: Path, what: str, reply: Reply, whole: list[str]
) -> None:
    """But for the 429, the provider has done what it was told; only its answer was lost."""
    with selling() as api:
        api.lost = lambda call, number: reply if (call, number) == (what, 2) else None
        manifest = synthesize(batch_run(tmp_path, api.base_url, HASTY))
    assert manifest.accounting.rows_out == SEEDS
    assert sold(api) == whole


def test_a_batch_that_the_listing_shows_late_is_found_within_the_grace(
    tmp_path: Path, whole: list[str]
) -> None:
    def appear(what: str, number: int) -> None:
        if what == "list" and number == 4:
            api.hidden.clear()

    with selling() as api:
        api.hidden.add("batch_1")
        api.on = appear
        api.lost = lambda what, n: Reply(status=500) if (what, n) == ("create", 2) else None
        synthesize(batch_run(tmp_path, api.base_url, {**QUICK, "grace_s": 10}))
    assert sold(api) == whole


def test_text_with_unusual_line_ends_is_kept(tmp_path: Path) -> None:
    odd = "one\u2028two\u0085three\x0cfour"
    with selling(lambda number, body: Reply(f"{odd} {len(body['messages'])}")) as api:
        run = batch_run(tmp_path, api.base_url, HASTY)
        synthesize(run)
    rows = run.lake.dataset("dialogues", "test").rows()
    assert all(row["messages"][1]["content"].startswith(odd) for row in rows)


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


def test_without_a_key_none_is_sent(tmp_path: Path) -> None:
    with selling() as api:
        drive_together(batch_run(tmp_path, api.base_url), SynthesizeStage())
    assert api.keys == {None}
