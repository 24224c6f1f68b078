from pathlib import Path

import pytest

from flows.pools import workers_wanted
from parrot_core.errors import SourceError
from parrot_core.execution.plans import plan_stage
from parrot_core.execution.runs import begin_run
from parrot_core.execution.stage_worker import open_stage
from parrot_core.lake.run import Run
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import Budget, SeedStage, ToyModelStage


def begun(folder: Path) -> Run:
    return begin_run(minimal_recipe(str(folder), workers=8))


def test_no_more_workers_are_begun_than_shards_are_left(tmp_path: Path) -> None:
    run, stage = begun(tmp_path), SeedStage(shards=3)
    assert workers_wanted(run, stage, None) == 3
    assert workers_wanted(run, stage, [0, 2]) == 2
    with open_stage(run, stage, Budget(None)) as opened:
        opened.run_shard(opened.plan.shards[0])
        assert workers_wanted(run, stage, None) == 2
        assert workers_wanted(run, stage, [0]) == 1
        for shard in opened.plan.shards:
            opened.run_shard(shard)
    assert workers_wanted(run, stage, None) == 1, "which publishes"
    assert workers_wanted(run, ToyModelStage(), None) == 1, "a training is one shard"


def test_where_the_stage_cannot_be_planned_all_workers_are_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: SeedStage, run: Run) -> None:
        raise SourceError("no such file here")

    monkeypatch.setattr(SeedStage, "plan", fails)
    assert workers_wanted(begun(tmp_path), SeedStage(), None) == 8
    with pytest.raises(SourceError):
        plan_stage(begun(tmp_path), SeedStage())
