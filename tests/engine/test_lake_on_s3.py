"""The lake against a real S3 server, with the code that serves local disks."""

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dashboard.prefect_link import PrefectLink
from dashboard.result_set import VersionPart, Wanted
from dashboard.server import site_of
from parrot_core.errors import PartiallyFailed
from parrot_core.execution.runs import begin_run, open_run
from parrot_core.lake.storage import Storage
from parrot_core.models.references import resolve_model
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SEEDS, SeedStage, ToyModelStage, drive, synthesis
from tests.support.servers.fake_api import Reply, canonical, echo_turns, serving

pytestmark = pytest.mark.engine

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_put_if_absent_has_one_winner(lake_url: str) -> None:
    storage = Storage(lake_url)
    for round_ in range(5):
        wins: list[int] = []

        def write(number: int, path: str = f"{round_}.json", wins: list[int] = wins) -> None:
            if storage.put_if_absent(path, f"writer {number}".encode()):
                wins.append(number)

        threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(wins) == 1


def test_a_broken_synthesis_resumes_without_buying_anything_twice(lake_url: str) -> None:
    def breaks(number: int, body: dict[str, Any]) -> Reply:
        return Reply(status=500) if number > 20 else echo_turns(number, body)

    with serving(breaks) as api:
        run = synthesis(lake_url, api.base_url)
        with pytest.raises(PartiallyFailed):
            drive(run, SynthesizeStage())
        answered = {canonical(body) for body in api.requests[:20]}
        api.behaviour = echo_turns
        api.requests.clear()
        manifest = drive(run, SynthesizeStage())
        resumed = {canonical(body) for body in api.requests}
    assert answered & resumed == set()
    assert len(answered | resumed) == SEEDS * 7
    assert manifest.accounting.rows_out == SEEDS
    assert list(run.lake.dataset("dialogues", "test").problems()) == []
    again = open_run(run.lake, "test")
    assert again.lake.dataset("dialogues", "test").frame().height == SEEDS


def test_one_failed_shard_is_all_that_is_done_again(lake_url: str) -> None:
    run = begin_run(minimal_recipe(lake_url))
    stage = SeedStage()
    stage.failing = {2}
    with pytest.raises(PartiallyFailed):
        drive(run, stage)
    stage.failing, stage.processed = set(), []
    drive(run, stage)
    assert stage.processed == [2]


def test_a_model_version_is_copied_once_and_checked(lake_url: str, tmp_path: Path) -> None:
    run = begin_run(minimal_recipe(lake_url))
    drive(run, ToyModelStage())
    folder = Path(resolve_model("lake:parrot-ask", run, tmp_path / "cache"))
    assert (folder / "config.json").read_text() == "{}"
    assert (folder / "weights" / "big.bin").stat().st_size == ToyModelStage.size
    assert resolve_model("lake:parrot-ask", run, tmp_path / "cache") == folder


def test_the_dashboard_reads_runs_rows_and_marks_from_s3(lake_url: str) -> None:
    run = begin_run(minimal_recipe(lake_url))
    drive(run, SeedStage())
    site = site_of(lake_url, PrefectLink(lambda: None), read_only=False)
    assert [state.name for state in site.watch.runs()] == [run.name]
    stage = site.watch.stage(run.name, "seeds")
    assert stage is not None
    assert [shard.status for shard in stage.shards] == ["done"] * 3
    place = VersionPart("seeds", run.name)
    assert [manifest.name for manifest in site.version_cache.versions()] == ["seeds"]
    assert list(site.version_cache.result_set(Wanted(place, "Q1?")).positions) == [1]
    assert site.version_cache.lookup(place).read([2])[0]["query"] == "q2?"
    assert site.version_cache.index(place).find("s1") == 1
    site.version_cache.reviews(place).mark("s1", "flag", NOW, "ann")
    assert site.version_cache.reviews(place).export("odd", NOW).ids == ("s1",)
    assert site.actions is not None
    site.actions.pause(run.name)
    site.watch.forget(run.name)
    assert site.watch.run(run.name).header.pause.startswith("paused by the dashboard")
