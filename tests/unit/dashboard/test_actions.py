"""A retry is the command that a person would type; one at a time; limits change only when asked."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest

from dashboard.actions import Actions, Work
from dashboard.questions import changes, limits_of
from parrot_cli.launch import chosen_shards
from parrot_core.errors import UserError
from parrot_core.lake.lake import Lake
from parrot_core.lake.pauses import Pauses
from tests.support.lakes.recipes import minimal_recipe


def test_a_retry_names_run_lake_shards_and_changed_limits(tmp_path: Path) -> None:
    actions = Actions(Lake(str(tmp_path)))
    command = actions.command(
        Work("demo", "synthesize", (3, 5), {"engines.a.limits.concurrency": 2}, quarantined=True)
    )
    assert command[0] == sys.executable
    assert command[3:] == [
        *("retry", "demo", "--shard", "synthesize:3", "--shard", "synthesize:5"),
        *("--quarantined", "--set", "engines.a.limits.concurrency=2"),
        *("--lake", str(tmp_path)),
    ]
    assert actions.command(Work("demo"))[3:] == ["retry", "demo", "--lake", str(tmp_path)]
    assert Work("demo", "capo").words[-2:] == ["--shard", "capo"]


def test_one_retry_of_a_run_at_a_time_and_what_it_said_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARROT_WORK", str(tmp_path / "work"))
    started: list[subprocess.Popen[bytes]] = []

    def start(command: Sequence[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
        code = "import sys; print('begun', flush=True); sys.stdin.read()"
        process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=log)
        started.append(process)
        return process

    actions = Actions(Lake(str(tmp_path)), start)
    assert actions.tail("demo") == ""
    actions.pause("demo")
    actions.retry(Work("demo"))
    assert Pauses(Lake(str(tmp_path)).storage, "demo").read() is None
    with pytest.raises(UserError, match="still runs"):
        actions.retry(Work("demo"))
    started[0].communicate(b"")
    assert actions.tail("demo") == "begun\n"
    assert not actions.running("demo")


def test_a_pause_of_the_dashboard_is_a_pause_of_the_run(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    actions = Actions(lake)
    actions.pause("demo")
    record = Pauses(lake.storage, "demo").read()
    assert record is not None
    assert record.by == "the dashboard"
    actions.resume("demo")
    assert Pauses(lake.storage, "demo").read() is None


def test_only_limits_that_differ_from_the_recipes_are_changed() -> None:
    recipe = minimal_recipe("unused", budget_usd=5).model_dump(mode="json")
    before = limits_of(recipe)
    assert before["budget_usd"] == 5
    assert "engines.judge.limits.concurrency" in before
    assert changes(recipe, before) == {}
    wanted = {**before, "budget_usd": 7.5, "engines.judge.limits.concurrency": 3.0}
    assert changes(recipe, wanted) == {"budget_usd": 7.5, "engines.judge.limits.concurrency": 3}
    assert changes(recipe, {**before, "budget_usd": None}) == {}


def test_shards_are_chosen_by_stage_and_number() -> None:
    assert chosen_shards([]) == (None, ())
    assert chosen_shards(["synthesize:5", "synthesize:3"]) == ("synthesize", (3, 5))
    assert chosen_shards(["capo"]) == ("capo", ())
    for wrong in (["nope:1"], ["capo:x"], ["capo:"], ["capo:1", "select:1"]):
        with pytest.raises(UserError):
            chosen_shards(wrong)
