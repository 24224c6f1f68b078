"""The state of a run, read from the lake's files alone."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.errors import MissingRun
from parrot_core.execution.runs import ask_for, begin_run, open_run
from parrot_core.lake.lake import Lake
from parrot_core.lake.storage import Storage
from parrot_core.monitor import RunReader, RunState, StageState, list_runs, read_run
from parrot_core.stages.registry import STAGES as ALL_STAGES
from tests.support.lakes.finished_run import full_run
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.run_state import (
    NOW,
    RECIPE,
    RUN,
    STAGES,
    ago,
    begin,
    failure,
    plan,
    progress,
    publish,
    receipt,
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    opened = Lake(str(tmp_path))
    begin(opened)
    return opened


def state(lake: Lake) -> RunState:
    return read_run(lake, RUN, STAGES, NOW)


def much_later(lake: Lake) -> RunState:
    return read_run(lake, RUN, STAGES, datetime.now(UTC) + timedelta(hours=1))


def synthesize(lake: Lake) -> StageState:
    found = state(lake).stage("synthesize")
    assert found is not None
    return found


def test_a_run_that_has_only_begun_is_all_waiting(lake: Lake) -> None:
    assert state(lake).status == "waiting"
    assert {stage.status for stage in state(lake).stages} == {"waiting"}


def test_stages_that_a_run_was_not_begun_for_are_skipped_and_it_is_done_without_them(
    tmp_path: Path,
) -> None:
    lake = Lake(str(tmp_path))
    begun = begin_run(minimal_recipe(lake.url), RUN, stages=["seeds", "filter"])
    publish(lake, "seeds")
    plan(lake, "select", [3])  # asked for by name later on
    status = {stage.name: stage.status for stage in state(lake).stages}
    assert status.pop("select") == "waiting"
    assert (status.pop("seeds"), status.pop("filter")) == ("done", "waiting")
    assert set(status.values()) == {"skipped"}
    publish(lake, "filter")
    publish(lake, "select")
    assert state(lake).status == "done"
    for again in (begin_run(begun.recipe, RUN), open_run(lake, RUN)):
        assert again.makes("filter")
        assert not again.makes("capo")


def test_a_run_that_was_to_end_after_a_stage_is_done_there_until_more_is_asked_for(
    tmp_path: Path,
) -> None:
    lake = Lake(str(tmp_path))
    run = begin_run(minimal_recipe(lake.url), RUN)
    ask_for(run, ALL_STAGES[:4])
    publish(lake, "ingest")
    publish(lake, "train-ask")
    assert much_later(lake).status_text == "stalled"  # its seeds are missing
    publish(lake, "seeds")
    done = much_later(lake)
    assert (done.status, done.status_text, done.until, done.final) == (
        *("done", "done until seeds", "seeds"),
        False,
    )
    assert [stage.name for stage in done.own_stages] == ["ingest", "train-ask", "seeds"]
    assert json.loads(json.dumps(done.to_json()))["status_text"] == "done until seeds"
    assert begin_run(run.recipe, RUN).makes("filter")  # it was begun for the whole factory
    ask_for(run, None)
    more = much_later(lake)
    assert (more.status, more.status_text, more.until) == ("stalled", "stalled", "")


def test_a_stage_in_work_counts_whatever_was_asked_for_last(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    run = begin_run(minimal_recipe(lake.url), RUN)
    for stage in ("ingest", "train-ask", "seeds"):
        publish(lake, stage)
    plan(lake, "synthesize", [4])
    failure(lake, "synthesize", 0, 1, started_at=ago(50), ended_at=ago(40))
    ask_for(run, ALL_STAGES[:4])
    assert state(lake).status == "failed"
    publish(lake, "synthesize")
    assert state(lake).status_text == "done until synthesize"


def test_a_run_begun_by_one_stages_deployment_is_done_with_the_stages_begun_so(
    tmp_path: Path,
) -> None:
    lake = Lake(str(tmp_path))
    recipe = minimal_recipe(lake.url)
    for stage in ("ingest", "train-ask"):
        begin_run(recipe, RUN, alone=stage)
        assert state(lake).status != "done"
        publish(lake, stage)
        assert state(lake).status_text == f"done until {stage}"
    begin_run(recipe, "whole")
    begin_run(recipe, "whole", alone="ingest")
    assert read_run(lake, "whole", STAGES, NOW).header.asked is None


def test_a_planned_stage_without_progress_is_starting_not_silent(lake: Lake) -> None:
    plan(lake, "synthesize", [10])
    path = f"runs/{RUN}/synthesize/plan.json"
    lake.storage.write_json(path, {**lake.storage.read_json(path), "created_at": ago(20)})
    assert synthesize(lake).planned_at is not None
    assert state(lake).status == "running"


def test_an_unknown_run_is_named_with_the_runs_there_are(lake: Lake) -> None:
    with pytest.raises(MissingRun, match=r"no run 'other'.*demo"):
        read_run(lake, "other", STAGES, NOW)


def test_a_running_stage_tells_units_rate_and_time_left(lake: Lake) -> None:
    plan(lake, "synthesize", [10, 10, 10, 10])
    receipt(lake, "synthesize", 0, 10, {}, started_at=ago(60), ended_at=ago(40))
    for shard in (1, 2):
        progress(lake, "synthesize", shard, done=5, total=10, started_at=ago(15), updated_at=ago(5))
    stage = synthesize(lake)
    assert (stage.status, stage.done, stage.total, stage.percent) == ("running", 20, 40, 50.0)
    assert stage.rate == pytest.approx(1.0)  # half a session a second a shard, two shards at work
    assert stage.eta_s == pytest.approx(20.0)


def test_a_training_counts_the_steps_it_reports_not_the_rows_it_reads(lake: Lake) -> None:
    plan(lake, "train-ask", [16_000])
    progress(lake, "train-ask", 0, done=0, total=None, started_at=ago(9), updated_at=ago(1))
    stage = state(lake).stage("train-ask")
    assert stage is not None
    assert (stage.status, stage.total, stage.percent) == ("running", None, None)
    progress(lake, "train-ask", 0, done=15, total=60, started_at=ago(9), updated_at=ago(1))
    stage = state(lake).stage("train-ask")
    assert stage is not None
    assert (stage.total, stage.percent) == (60, 25.0)


def test_a_shard_that_has_been_silent_for_twenty_seconds_is_stalled(lake: Lake) -> None:
    plan(lake, "synthesize", [10, 10])
    progress(lake, "synthesize", 0, done=1, started_at=ago(90), updated_at=ago(19))
    progress(lake, "synthesize", 1, done=1, started_at=ago(90), updated_at=ago(21))
    assert [shard.status for shard in synthesize(lake).shards] == ["running", "stalled"]


def test_a_run_without_any_sign_of_life_is_stalled(lake: Lake) -> None:
    plan(lake, "synthesize", [10])
    progress(lake, "synthesize", 0, done=1, started_at=ago(900), updated_at=ago(600))
    assert state(lake).status == "stalled"


def test_a_failed_shard_keeps_its_error_while_the_others_go_on(lake: Lake) -> None:
    plan(lake, "synthesize", [10, 10])
    progress(lake, "synthesize", 0, done=3, started_at=ago(50), updated_at=ago(41))
    failure(lake, "synthesize", 0, 1, started_at=ago(50), ended_at=ago(40))
    progress(lake, "synthesize", 1, done=3, started_at=ago(50), updated_at=ago(1))
    stage = synthesize(lake)
    assert stage.status == "running"
    assert stage.shards[0].status == "failed"
    assert stage.shards[0].last_error is not None
    assert stage.shards[0].last_error.message == "the engine is gone"


def test_a_stage_fails_when_nothing_of_it_goes_on(lake: Lake) -> None:
    plan(lake, "synthesize", [10, 10])
    failure(lake, "synthesize", 0, 1, started_at=ago(50), ended_at=ago(40))
    receipt(lake, "synthesize", 1, 10, {}, started_at=ago(50), ended_at=ago(40))
    assert synthesize(lake).status == "partially_failed"
    assert (state(lake).status, state(lake).status_text) == ("partially_failed", "partially failed")
    failure(lake, "synthesize", 1, 1, started_at=ago(50), ended_at=ago(40))


def test_a_shard_that_is_tried_again_runs_and_remembers(lake: Lake) -> None:
    plan(lake, "synthesize", [10])
    failure(lake, "synthesize", 0, 1, started_at=ago(50), ended_at=ago(40))
    failure(lake, "synthesize", 0, 2, started_at=ago(38), ended_at=ago(30))
    progress(lake, "synthesize", 0, done=3, started_at=ago(20), updated_at=ago(1))
    shard = synthesize(lake).shards[0]
    assert (shard.status, shard.attempts, len(shard.failures)) == ("running", 3, 2)


def test_pauses_between_attempts_are_no_working_time(lake: Lake) -> None:
    plan(lake, "synthesize", [10])
    failure(lake, "synthesize", 0, 1, started_at=ago(5000), ended_at=ago(4990))
    progress(lake, "synthesize", 0, done=3, started_at=ago(20), updated_at=ago(1))
    assert synthesize(lake).seconds == pytest.approx(30.0)


def test_tokens_dollars_and_rejects_of_all_shards_are_summed(lake: Lake) -> None:
    plan(lake, "synthesize", [10, 10])
    used = {"asker": {"model": "m", "prompt_tokens": 7, "completion_tokens": 3, "usd": 0.25}}
    receipt(
        *(lake, "synthesize", 0, 10, {"context_full": 2}),
        started_at=ago(60),
        ended_at=ago(40),
        usage=used,
    )
    progress(
        *(lake, "synthesize", 1),
        done=3,
        started_at=ago(20),
        updated_at=ago(1),
        usage=used,
        rejected={"context_full": 1},
        figures={"loss": 2.5},
    )
    stage = synthesize(lake)
    assert (stage.tokens, stage.usd, stage.rejected) == (20, 0.5, {"context_full": 3})
    assert stage.figures == {"loss": 2.5}


def test_a_published_stage_is_done_by_its_manifest_even_without_its_plan(lake: Lake) -> None:
    publish(lake, "synthesize")
    stage = synthesize(lake)
    assert (stage.status, stage.published, stage.percent) == ("done", True, 100.0)


def test_a_pinned_stage_shows_the_version_it_is_taken_from(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake, recipe={**RECIPE, "inputs": {"parrot-ask": "last-week"}})
    publish(lake, "train-ask", run="last-week", seconds=99.0)
    found = state(lake).stage("train-ask")
    assert found is not None
    assert (found.status, found.version, found.published) == ("pinned", "last-week", True)
    assert state(lake).seconds == 0.0, "an earlier run's time is not this run's"


def test_a_finished_run_is_done_and_its_accounts_close(tmp_path: Path) -> None:
    done = state(full_run(tmp_path))
    assert done.status == "done"
    assert [stage.balance for stage in done.stages] == [0] * len(STAGES)
    assert done.seconds > 0
    assert done.tokens > 0


def test_the_state_survives_json(tmp_path: Path) -> None:
    sent = json.loads(json.dumps(state(full_run(tmp_path)).to_json()))
    assert sent["status"] == "done"
    assert sent["stages"][0]["percent"] == 100.0
    assert sent["stages"][0]["rejected"]["language"] == 9


def test_runs_are_listed_newest_first(lake: Lake) -> None:
    begin(lake, "older")
    path = "runs/older/run.json"
    lake.storage.write_json(path, {**lake.storage.read_json(path), "created_at": ago(10_000)})
    assert [header.name for header in list_runs(lake)] == [RUN, "older"]


def test_a_damaged_record_hides_no_other_run(lake: Lake) -> None:
    lake.storage.write_bytes("runs/torn/run.json", b'{"name": ')
    whole, torn = list_runs(lake)
    assert (whole.name, whole.damage, torn.name) == (RUN, "", "torn")
    assert "runs/torn/run.json: not valid JSON" in torn.damage


class _Counting(Storage):
    """Storage that remembers what was read."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.paths: list[str] = []

    def read_json(self, path: str) -> dict[str, Any]:
        self.paths.append(path)
        return super().read_json(path)


def test_what_cannot_change_any_more_is_read_once(lake: Lake) -> None:
    plan(lake, "synthesize", [10])
    progress(lake, "synthesize", 0, done=9, total=10, started_at=ago(60), updated_at=ago(41))
    receipt(lake, "synthesize", 0, 10, {}, started_at=ago(60), ended_at=ago(40))
    lake.storage = storage = _Counting(lake.url)
    reader = RunReader(lake, RUN, STAGES)
    for second in range(5):
        reader.read(NOW + timedelta(seconds=second))
    below = [path for path in storage.paths if path.startswith(f"runs/{RUN}/synthesize/")]
    assert len(below) == len(set(below)) == 3  # plan, receipt, last progress


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.sampled_from(["waiting", "running", "done", "failed"])),
        max_size=6,
    )
)
def test_whatever_the_shards_do_the_counts_stay_within_their_bounds(
    tmp_path_factory: pytest.TempPathFactory, shards: list[tuple[int, str]]
) -> None:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    begin(lake)
    plan(lake, "synthesize", [rows for rows, _ in shards])
    for index, (rows, what) in enumerate(shards):
        if what == "running":
            times = {"started_at": ago(9), "updated_at": ago(1)}
            progress(lake, "synthesize", index, done=rows // 2, **times)
        elif what == "done":
            receipt(
                *(lake, "synthesize", index, rows, {"context_full": rows // 3}),
                started_at=ago(9),
                ended_at=ago(1),
            )
        elif what == "failed":
            failure(lake, "synthesize", index, 1, started_at=ago(90), ended_at=ago(80))
    stage = synthesize(lake)
    assert [shard.status for shard in stage.shards] == [what for _, what in shards]
    assert stage.percent is None or 0 <= stage.percent <= 100
    assert stage.balance == 0
    assert stage.eta_s is None or stage.eta_s >= 0
