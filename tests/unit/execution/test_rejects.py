from pathlib import Path
from typing import Any

import pytest

from parrot_core.errors import UserError
from parrot_core.execution.attempt import run_shard
from parrot_core.execution.plans import plan_stage
from parrot_core.execution.rejects import NothingCameOut, TooManyRejects
from parrot_core.execution.runs import begin_run
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords
from parrot_core.stages.base import ShardWork
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SeedStage, drive


class Refusing(SeedStage):
    """Takes in ``units`` rows a shard and rejects the last ``bad`` of them."""

    def __init__(self, bad: int, units: int = 10, shards: int = 2) -> None:
        super().__init__(shards)
        self.bad = bad
        self.units = units

    def process(self, work: ShardWork) -> None:
        shard = work.plan.index
        self.processed.append(shard)
        for place in range(self.units):
            work.expect(1)
            name = f"s{shard}-{place}"
            row = {"id": name, "source_ids": ["x"], "language": "en", "query": "q?"}
            if place < self.units - self.bad:
                work.emit(row)
            else:
                work.reject(name, ["x"], "request_refused", row, "HTTP 400: no seed, please")


def begun(folder: Path, **changes: Any) -> Run:
    return begin_run(minimal_recipe(str(folder), **changes))


def test_a_stage_that_rejects_every_row_is_no_success_and_says_why(tmp_path: Path) -> None:
    run = begun(tmp_path)
    said = r"0 of 20 sessions came out; 20 request_refused \(HTTP 400: no seed, please\)"
    for _ in range(2):  # running it again doesn't make it one
        with pytest.raises(NothingCameOut, match=said) as failure:
            drive(run, Refusing(bad=10))
    assert failure.value.exit_code == 1
    assert not run.lake.published("dataset", "seeds", "test")


def test_the_recipe_can_allow_a_stage_to_publish_nothing(tmp_path: Path) -> None:
    begun(tmp_path)
    run = begun(tmp_path, allow_empty=["seeds"])  # of a run in work, too
    assert drive(run, Refusing(bad=10)).accounting.rows_rejected == 20


def test_a_stage_that_took_nothing_in_may_publish_nothing(tmp_path: Path) -> None:
    assert drive(begun(tmp_path), Refusing(bad=0, units=0)).accounting.rows_in == 0


def test_a_stage_stops_while_it_goes_once_too_large_a_share_is_rejected(tmp_path: Path) -> None:
    run = begun(tmp_path, max_reject_share={"seeds": 0.2})
    stage = Refusing(bad=150, units=300)
    with pytest.raises(TooManyRejects, match=r"rejects \d+ of \d+ sessions, .* = 0\.2"):
        drive(run, stage)
    assert stage.processed == [0]  # the next shard isn't begun
    assert StageRecords(run.lake.storage, "test", "seeds").shard(0).failures()[0].counts is False
    assert drive(begun(tmp_path, max_reject_share={"seeds": 1}), stage).accounting.rows_out == 300


def test_what_finished_shards_rejected_counts(tmp_path: Path) -> None:
    run = begun(tmp_path, max_reject_share={"seeds": 0.6})
    first, second = plan_stage(run, SeedStage(2)).shards
    run_shard(run, Refusing(bad=60, units=100), first, None)
    with pytest.raises(TooManyRejects, match="rejects 62 of 103 sessions"):
        run_shard(run, Refusing(bad=100, units=101), second, None)


def test_a_share_that_is_kept_to_is_no_trouble(tmp_path: Path) -> None:
    run = begun(tmp_path, max_reject_share={"seeds": 0.5})
    assert drive(run, Refusing(bad=5)).accounting.rows_rejected == 10


@pytest.mark.parametrize(
    "setting",
    [
        {"allow_empty": ["sed"]},
        {"max_reject_share": {"sed": 0.1}},
        {"workers": {"sed": 2}},
        {"cluster": {"resources": {"sed": {}}}},
    ],
)
def test_a_setting_for_a_stage_that_does_not_exist_is_refused(
    tmp_path: Path, setting: dict[str, Any]
) -> None:
    with pytest.raises(UserError, match=r"no stage 'sed'; there are: ingest"):
        begun(tmp_path, **setting)
