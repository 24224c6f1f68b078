from pathlib import Path

from parrot_cli.control import failures_of
from parrot_core.lake.lake import Lake
from parrot_core.lake.run_records import StageRecords
from parrot_core.monitor import read_run
from tests.support.lakes.run_state import NOW, RUN, STAGES, ago, begin, failure, plan


def test_failures_of_shards_and_of_whole_stages_are_told_in_order_of_time(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake)
    plan(lake, "synthesize", [10, 10])
    failure(lake, "synthesize", 1, 1, message="first", started_at=ago(50), ended_at=ago(40))
    failure(lake, "synthesize", 0, 1, message="second", started_at=ago(50), ended_at=ago(30))
    (_, second) = failures_of(read_run(lake, RUN, STAGES, NOW))[-1]
    whole = second.model_copy(update={"message": "at last", "ended_at": NOW})
    StageRecords(lake.storage, RUN, "synthesize").record_failure(whole)
    found = failures_of(read_run(lake, RUN, STAGES, NOW))
    assert [(place, each.message) for place, each in found] == [
        ("synthesize shard 1, attempt 1", "first"),
        ("synthesize shard 0, attempt 1", "second"),
        ("synthesize", "at last"),
    ]
