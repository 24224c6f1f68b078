"""What the pages are built of: the grid of shards, lines for rows, a watch that reads once."""

import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dashboard.review_page import sample
from dashboard.row_preview import labels, preview
from dashboard.shard_grid import CELL, COLUMNS, moved, shard_at, shard_grid
from dashboard.version_cache import VersionCache
from dashboard.watch import StateWatcher
from parrot_core.execution.runs import begin_run
from parrot_core.lake.lake import Lake
from parrot_core.monitor import ShardState, StageSpec
from tests.support.lakes.published import dialogue, publish
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SeedStage, drive


@given(st.integers(1, 5000), st.data())
def test_a_click_on_a_shards_square_finds_that_shard(shards: int, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, shards - 1))
    x, y = position % COLUMNS * CELL + CELL / 2, position // COLUMNS * CELL + CELL / 2
    assert shard_at(x, y, shards) == position
    assert shard_at(COLUMNS * CELL + 1, 0, shards) is None
    assert shard_at(0, (shards // COLUMNS + 2) * CELL, shards) is None


def test_thousands_of_shards_are_a_path_a_state() -> None:
    shards = [ShardState(n, "failed" if n == 7 else "done") for n in range(2000)]
    drawn = str(shard_grid(shards, 7))
    assert drawn.count("<path") == 2
    assert drawn.count("<rect") == 1
    assert len(drawn) < 60_000


def test_arrow_keys_move_within_the_grid() -> None:
    assert moved(None, "ArrowRight", 5) == 0
    assert moved(0, "ArrowLeft", 5) == 0
    assert moved(3, "ArrowRight", 5) == 4
    assert moved(4, "ArrowDown", 5) == 4
    assert moved(0, "ArrowDown", 500) == COLUMNS


def test_a_row_is_told_by_its_first_text_and_its_short_facts() -> None:
    row = {
        "id": "d",
        "messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "Hi"}],
        "n_turns": 1,
        "end_reason": None,
        "language": "en",
    }
    assert preview(row) == "Hi"
    assert labels(row) == ["1 turn", "en"]
    assert preview({"id": "r", "detail": "too short"}) == "too short"


def test_a_dashboard_holds_no_library_in_memory_that_only_comparisons_need() -> None:
    code = "import sys, dashboard.server; print({'polars', 'torch', 'prefect'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_a_sample_is_decided_by_its_seed_and_no_longer_than_the_version() -> None:
    assert sample(1000, 3) == sample(1000, 3)
    assert sample(1000, 3) != sample(1000, 4)
    assert sorted(sample(7, 1)) == list(range(7))


def test_many_viewers_cost_one_reading_and_a_change_is_seen_after_it(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    run = begin_run(minimal_recipe(str(tmp_path)))
    now = [0.0]
    watch = StateWatcher(lake, [StageSpec("seeds", "seeds", "dataset")], clock=lambda: now[0])
    assert [state.name for state in watch.runs()] == ["test"]
    before = watch.run("test")
    assert watch.run("test") is before
    drive(run, SeedStage())
    assert watch.run("test") is before
    now[0] += 1.0
    assert watch.run("test").status == "done"
    stage = watch.stage("test", "seeds")
    assert stage is not None
    assert [shard.status for shard in stage.shards] == ["done"] * 3
    assert watch.stage("test", "nope") is None


def test_a_damaged_version_hides_no_other_one(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    for version in ("good", "bad"):
        publish(lake, "dialogues", [dialogue("d", ["q", "a"])], version=version)
    (tmp_path / "datasets/dialogues/bad/manifest.json").write_text("{")
    version_cache = VersionCache(lake)
    assert [manifest.version for manifest in version_cache.versions()] == ["good"]
    (what,) = version_cache.damaged
    assert "datasets/dialogues/bad/manifest.json: not valid JSON" in what


def test_a_damaged_run_is_listed_behind_the_others_until_it_is_mended(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin_run(minimal_recipe(lake.url))
    record = lake.storage.read_bytes("runs/test/run.json")
    lake.storage.write_bytes("runs/torn/run.json", record[:20])
    watch = StateWatcher(lake, [StageSpec("seeds", "seeds", "dataset")])
    assert [(h.name, bool(h.damage)) for h in watch.headers()] == [("test", False), ("torn", True)]
    assert [state.name for state in watch.runs()] == ["test"]
    lake.storage.write_bytes("runs/torn/run.json", record)
    assert not any(header.damage for header in watch.headers())


def test_what_was_just_done_is_read_at_the_next_look(tmp_path: Path) -> None:
    begin_run(minimal_recipe(str(tmp_path)))
    watch = StateWatcher(Lake(str(tmp_path)), [StageSpec("seeds", "seeds", "dataset")], lambda: 0.0)
    before = watch.run("test")
    watch.forget("test")
    assert watch.run("test") is not before
