"""A button says what it would run and what that may cost; it never offers what would do nothing."""

from pathlib import Path

import pytest

from dashboard.questions import (
    go_on,
    raise_budget,
    retry_failed,
    retry_group,
    retry_shards,
    typed,
)
from dashboard.words import in_words
from parrot_core.lake.lake import Lake
from parrot_core.lake.shard_records import ShardRecords
from parrot_core.monitor import RunState, StageState, read_run
from parrot_core.monitor.failures import failure_groups
from parrot_core.monitor.outlook import Projection
from tests.support.lakes.run_state import (
    NOW,
    RECIPE,
    RUN,
    STAGES,
    ago,
    begin,
    failure,
    plan,
    publish,
    receipt,
)

USED = {"answerer": {"model": "m", "usd": 2.0}}


@pytest.fixture
def state(tmp_path: Path) -> RunState:
    """Two of four shards failed, one of them is in quarantine; $2 a shard, $5 in all."""
    lake = Lake(str(tmp_path))
    begin(lake, recipe={**RECIPE, "budget_usd": 5.0})
    for stage in ("ingest", "train-ask", "seeds"):
        publish(lake, stage)
    plan(lake, "synthesize", [10, 10, 10, 10])
    for shard in (0, 3):
        times = {"started_at": ago(60), "ended_at": ago(40)}
        receipt(lake, "synthesize", shard, 10, {}, usage=USED, **times)
    for shard in (1, 2):
        failure(lake, "synthesize", shard, 1, ended_at=ago(40))
    ShardRecords(lake.storage, RUN, "synthesize", 2).judge(1, ago(40))
    return read_run(lake, RUN, STAGES, NOW)


def synthesize(state: RunState) -> StageState:
    stage = state.stage("synthesize")
    assert stage is not None
    return stage


def test_a_retry_of_what_failed_leaves_quarantine_and_later_stages_alone(state: RunState) -> None:
    asked = retry_failed(state, [synthesize(state)])
    assert asked.work.words == ["retry", RUN, "--shard", "synthesize:1"]
    assert "1 failed shard of synthesize; later stages are left alone." in asked.runs
    assert asked.cost.startswith("May cost about $2.00 more.")
    assert "more than the budget leaves" in asked.cost
    assert "of $5.00" in asked.cost


def test_a_group_is_released_and_retried_as_one(state: RunState) -> None:
    (group,) = failure_groups(state.stages)
    asked = retry_group(state, group)
    assert asked.button == "Release and retry …"
    assert asked.work.words[-1] == "--quarantined"
    assert asked.work.shards == (1, 2)
    assert "Out of quarantine first: 1 shard." in asked.runs
    one = retry_shards(state, synthesize(state), [2])
    assert (one.work.quarantined, one.work.shards) == (True, (2,))
    assert not retry_shards(state, synthesize(state), []).work.quarantined


def test_resuming_names_every_stage_and_what_nobody_can_tell(state: RunState) -> None:
    asked = go_on(state, {"filter": Projection(0.0, 1.0), "capo": Projection(1.5, 60.0)})
    assert asked.work.words == ["retry", RUN]
    assert asked.runs.startswith("7 stages: synthesize (2 shards), filter")
    assert "without select, evaluate, which nobody can tell" in asked.cost


def test_a_raised_budget_suffices_for_what_the_run_comes_to(state: RunState) -> None:
    known = {each.name: Projection(1.0, 1.0) for each in STAGES}
    asked = raise_budget(state, known)
    assert asked.budget is not None
    assert asked.budget >= 1.1 * (4.0 + 4.0 + 6.0) - 0.01
    assert asked.button.startswith("Raise the budget")


def test_a_command_is_shown_as_it_would_be_typed_and_never_a_page_long(state: RunState) -> None:
    asked = retry_failed(state, [synthesize(state)])
    assert typed(asked.work) == f"parrot retry {RUN} --shard synthesize:1"
    long = retry_shards(state, synthesize(state), list(range(500)))
    assert typed(long.work).endswith("more words)")
    assert len(typed(long.work)) < 250


def test_keys_are_shown_in_words() -> None:
    assert in_words("examples.left_out.too_long") == "left out: too long"
    assert in_words("tokens_per_s") == "tokens a second"
    assert in_words("rewards/margins") == "reward margin, chosen over rejected"
