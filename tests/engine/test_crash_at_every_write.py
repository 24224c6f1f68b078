"""Killed between any two writes, synthesis goes on and pays for nothing twice."""

import json
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.lakes.crash_checks import check_finished, seeded, template_of, uninterrupted
from tests.support.lakes.crash_driver import Drive, finish
from tests.support.lakes.toy_stages import SEEDS
from tests.support.servers.fake_api import FakeApi, serving

pytestmark = pytest.mark.engine


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    monkeypatch.setenv("PARROT_WORK", str(tmp_path / "work"))
    with serving() as running:
        yield running


def test_killed_between_any_two_writes_nothing_is_lost_and_nothing_bought_twice(
    tmp_path: Path, api: FakeApi
) -> None:
    """Every step of every write in turn, to the end of a run; odd and even ones side by side."""
    seeded(str(tmp_path / "seeded"), api, sessions_per_shard=6, turns=1)

    def lane(first: int) -> int:
        with serving() as mine:
            whole = str(shutil.copytree(tmp_path / "seeded", tmp_path / f"whole{first}"))
            point_at(whole, mine)
            expected = uninterrupted(Drive(whole), mine)
            for step in range(first, 1000, 2):
                lake = str(shutil.copytree(tmp_path / "seeded", tmp_path / f"lake{first}"))
                point_at(lake, mine)
                mine.requests.clear()
                code = finish(Drive(lake, kill_at_write=step))
                if code == 0:
                    return step
                assert code == -signal.SIGKILL
                assert finish(Drive(lake)) == 0, f"after a kill at step {step}"
                check_finished(lake, mine, expected, 1, SEEDS)
                shutil.rmtree(lake)
        raise AssertionError("a run never came to its end")

    with ThreadPoolExecutor(2) as lanes:
        steps = list(lanes.map(lane, (1, 2)))
    assert min(steps) > 30, "a run takes more steps than that"


def point_at(lake: str, api: FakeApi) -> None:
    """Let a run that was begun with another server speak to this one."""
    path = Path(lake, "runs/test/run.json")
    record = json.loads(path.read_text())
    for engine in record["recipe"]["engines"].values():
        engine["base_url"] = api.base_url
    path.write_text(json.dumps(record))


def test_killed_while_it_resumes_and_again_nothing_is_bought_twice(
    tmp_path: Path, api: FakeApi
) -> None:
    """Each process dies a step of writing further than the one before."""
    expected = template_of(tmp_path / "seeded", api, sessions_per_shard=4, turns=3)
    lake = str(tmp_path / "seeded")
    kills = 0
    for step in range(4, 200, 5):
        if finish(Drive(lake, kill_at_write=step)) == 0:
            break
        kills += 1
    assert kills >= 3
    check_finished(lake, api, expected, kills, SEEDS)
