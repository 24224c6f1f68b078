"""One definition of the states: loading isn't silence, a killed run is seen, failure is loud."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from parrot_core.lake.attempts import AttemptFailure
from parrot_core.lake.holder import Holder, this_process
from parrot_core.lake.lake import Lake
from parrot_core.lake.presence import WORKING, Presence, PresenceRecord
from parrot_core.lake.recipe_in_force import RecipeInForce
from parrot_core.lake.run_records import StageRecords
from parrot_core.lake.shard_records import ShardRecords
from parrot_core.lake.stops import Stops
from parrot_core.monitor import RunReader, RunState, StageState, read_run
from parrot_core.monitor.failures import failure_groups
from parrot_core.monitor.outlook import Projection, outlook, usd_of_shards
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

ELSEWHERE = Holder(worker="far:1", boot="another machine", pids="p", pid=1, started=1)
GONE = this_process().model_copy(update={"pid": 2**22 - 7, "started": 1})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    opened = Lake(str(tmp_path))
    begin(opened)
    return opened


def present(lake: Lake, doing: str, seconds: float, holder: Holder = ELSEWHERE) -> None:
    record = PresenceRecord(holder=holder, doing=doing, updated_at=ago(seconds))
    path = f"runs/{RUN}/synthesize/workers/w.json"
    lake.storage.write_json(path, record.model_dump(mode="json"))


def state(lake: Lake) -> RunState:
    return read_run(lake, RUN, STAGES, NOW)


def synthesize(lake: Lake) -> StageState:
    found = state(lake).stage("synthesize")
    assert found is not None
    return found


def test_engines_that_load_for_minutes_are_starting_not_stalled(lake: Lake) -> None:
    plan(lake, "synthesize", [10])
    present(lake, "starting engines asker", 4)
    found = state(lake)
    assert (found.status, synthesize(lake).status) == ("starting", "starting")
    assert synthesize(lake).doing == "starting engines asker"
    assert found.attended


def test_a_worker_that_plans_is_seen_before_there_is_a_plan(lake: Lake) -> None:
    present(lake, "planning", 1)
    assert state(lake).status == "starting"


@pytest.mark.parametrize(("seconds", "holder"), [(21, ELSEWHERE), (1, GONE)])
def test_a_killed_run_is_stalled_within_twenty_seconds_or_at_once_on_its_own_machine(
    lake: Lake, seconds: float, holder: Holder
) -> None:
    plan(lake, "synthesize", [10])
    present(lake, WORKING, seconds, holder)
    said = {"started_at": ago(60), "updated_at": ago(seconds), "paused": {"judge": "next try soon"}}
    progress(lake, "synthesize", 0, done=1, **said)
    found = state(lake)
    assert (found.status, found.attended) == ("stalled", False)
    assert synthesize(lake).pause == "", "nobody is there to try"


def test_a_clock_that_goes_wrong_is_not_taken_for_a_dead_worker(lake: Lake) -> None:
    plan(lake, "synthesize", [10])
    reader = RunReader(lake, RUN, STAGES)
    present(lake, WORKING, 500)
    assert reader.read(NOW).status == "stalled"
    present(lake, WORKING, 495)  # it was renewed before our eyes
    assert reader.read(NOW + timedelta(seconds=5)).status == "running"
    assert reader.read(NOW + timedelta(seconds=26)).status == "stalled"


def test_presence_is_there_while_its_context_is_and_survives_no_end(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake)
    present(lake, WORKING, 1, GONE)
    with Presence(lake.storage, RUN, "synthesize") as presence:
        presence.does("starting engines judge")
        (path,) = lake.storage.list(f"runs/{RUN}/synthesize/workers")  # the dead one's is gone
        assert lake.storage.read_json(path)["doing"] == "starting engines judge"
    assert lake.storage.list(f"runs/{RUN}/synthesize/workers") == []


def test_failures_are_counted_beside_a_run_that_goes_on(lake: Lake) -> None:
    plan(lake, "synthesize", [10, 10, 10])
    progress(lake, "synthesize", 0, done=3, started_at=ago(50), updated_at=ago(1))
    for shard in (1, 2):
        failure(lake, "synthesize", shard, 1, started_at=ago(50), ended_at=ago(40))
    ShardRecords(lake.storage, RUN, "synthesize", 2).judge(1, ago(40))
    found = state(lake)
    assert (found.status, found.failed, found.quarantined) == ("running", 2, 1)


def test_rejects_of_an_attempt_that_failed_are_no_rejects(lake: Lake) -> None:
    plan(lake, "synthesize", [10])
    rejected = {"provider_error": 7}
    progress(
        *(lake, "synthesize", 0),
        done=8,
        started_at=ago(50),
        updated_at=ago(41),
        rejected=rejected,
    )
    failure(lake, "synthesize", 0, 1, started_at=ago(50), ended_at=ago(40))
    assert synthesize(lake).rejects == 0


def test_failures_are_grouped_by_their_message_whatever_numbers_are_in_it(lake: Lake) -> None:
    plan(lake, "synthesize", [10] * 5)
    for shard in range(4):
        said = f"HTTP 500 after {shard} tries: request 3fa9c1d2e{shard}0f0 failed"
        failure(lake, "synthesize", shard, 1, message=said, ended_at=ago(50 - shard))
    failure(lake, "synthesize", 4, 1, message="no such model", ended_at=ago(5))
    one, other = failure_groups(state(lake).stages)
    assert one.shards == (0, 1, 2, 3)
    assert one.message.startswith("HTTP 500 after 3 tries")  # the latest
    assert (other.shards, other.message) == ((4,), "no such model")


def test_the_budget_that_holds_is_the_one_of_the_last_override(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    recipe = {**RECIPE, "budget_usd": 5.0}
    begin(lake, recipe=recipe)
    assert state(lake).header.budget_usd == 5.0
    RecipeInForce(lake.storage, RUN).note({**recipe, "budget_usd": 9.0}, recipe)
    assert state(lake).header.budget_usd == 9.0
    assert state(lake).to_json()["budget_usd"] == 9.0


def test_what_is_left_is_reckoned_from_what_was_done_and_from_a_forecast(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake, recipe={**RECIPE, "budget_usd": 5.0})
    for stage in ("ingest", "train-ask", "seeds"):
        publish(lake, stage)
    plan(lake, "synthesize", [10, 10])
    used = {"answerer": {"model": "m", "usd": 2.0}}
    times = {"started_at": ago(60), "ended_at": ago(40)}
    receipt(lake, "synthesize", 0, 10, {}, usage=used, **times)
    failure(lake, "synthesize", 1, 1, started_at=ago(50), ended_at=ago(40))
    found = state(lake)
    stage = found.stage("synthesize")
    assert stage is not None
    assert usd_of_shards(stage, RECIPE, [1]) == pytest.approx(2.0)
    known = {each.name: Projection(0.25, 60.0) for each in STAGES if each.name != "filter"}
    reckoned = outlook(found, known)
    assert reckoned.unknown == ("filter",)
    assert reckoned.usd_total == pytest.approx(2.0 + 2.0 + 0.25 * 5)
    assert reckoned.over_budget


def test_no_unit_done_means_that_nobody_knows_the_price(lake: Lake) -> None:
    plan(lake, "synthesize", [10])
    assert usd_of_shards(synthesize(lake), RECIPE) is None


def test_what_ends_a_stage_before_it_has_a_plan_is_a_failure_that_is_shown(lake: Lake) -> None:
    StageRecords(lake.storage, RUN, "ingest").record_failure(
        AttemptFailure(
            error_type="SourceError",
            message="no such file",
            worker="w1",
            ended_at=datetime.fromisoformat(ago(5)),
        )
    )
    found = state(lake)
    assert found.status == "failed"
    (group,) = failure_groups(found.stages)
    assert (group.stage, group.text, group.shards) == ("ingest", "SourceError: no such file", ())


def test_a_run_that_was_stopped_is_cancelled_not_stalled_until_somebody_is_at_it(
    lake: Lake,
) -> None:
    plan(lake, "synthesize", [10, 10])
    receipt(lake, "synthesize", 0, 10, {}, started_at=ago(900), ended_at=ago(800))
    assert state(lake).status == "stalled"
    Stops(lake.storage, RUN).record("SIGTERM")
    assert (state(lake).status, state(lake).header.stop) == ("cancelled", "SIGTERM")
    present(lake, WORKING, 1)
    assert state(lake).status == "running"


@pytest.mark.parametrize(("ended", "status"), [(30, "budget_reached"), (90, "stalled")])
def test_a_budget_that_was_reached_after_a_worker_was_killed_is_what_is_shown(
    lake: Lake, ended: float, status: str
) -> None:
    plan(lake, "synthesize", [4, 4])
    present(lake, WORKING, 60, GONE)
    progress(lake, "synthesize", 0, done=1, started_at=ago(99), updated_at=ago(60))
    reached = AttemptFailure(
        error_type="BudgetReached",
        message="paused: budget",
        worker="w2",
        ended_at=NOW - timedelta(seconds=ended),
    )
    StageRecords(lake.storage, RUN, "synthesize").record_failure(reached)
    assert synthesize(lake).status == status
