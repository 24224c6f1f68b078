"""A worker on a machine of a cluster: it takes text, proves its lake, and gives up at last."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cloudpickle
import pytest

from parrot_core.errors import UserError, WorkersLost
from parrot_core.execution import cluster_worker
from parrot_core.execution.cluster_worker import IDLE_LIVES, Assignment, machine_look, work
from parrot_core.lake.lake import Lake
from parrot_core.lake.run import Run
from tests.support.lakes.toy_stages import SEEDS, synthesis
from tests.support.servers.fake_api import serving

PROOF = "runs/test/synthesize/cluster/x/driver"


def assigned(run: Run) -> Assignment:
    """All of a synthesis, for a worker whose driver has put its file into the lake."""
    run.lake.storage.write_json(PROOF, {})
    recipe = run.recipe.model_dump_json()
    return Assignment(recipe, run.name, "synthesize", None, PROOF, number=1, workers=2)


def test_a_worker_does_a_stage_by_its_name_and_is_done_at_once_where_all_is_done(
    tmp_path: Path,
) -> None:
    with serving() as api:
        run = synthesis(tmp_path, api.base_url)
        given = assigned(run)
        work(given)
        assert run.lake.manifest("dataset", "dialogues", "test").accounting.rows_out == SEEDS
        asked = len(api.requests)
        work(replace(given, number=2))
        assert len(api.requests) == asked
    assert given.name == "test-synthesize worker 1/2"


def test_a_lake_that_is_not_the_drivers_is_refused_and_left_alone(tmp_path: Path) -> None:
    run = synthesis(tmp_path / "drivers", "http://127.0.0.1:9/v1")
    elsewhere = str(tmp_path / "elsewhere")
    recipe = run.recipe.model_copy(update={"lake": elsewhere}).model_dump_json()
    with pytest.raises(UserError, match=rf"lake {elsewhere}: .* found another one there, or none"):
        work(replace(assigned(run), recipe=recipe))
    assert not (tmp_path / "elsewhere").exists()


def test_a_worker_that_is_lost_again_and_again_without_getting_further_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = assigned(synthesis(tmp_path, "http://127.0.0.1:9/v1"))

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(cluster_worker, "complete_stage", killed)
    for _ in range(IDLE_LIVES):
        with pytest.raises(Killed):
            work(given)
    Lake(str(tmp_path)).storage.write_json("runs/test/synthesize/shards/0/claims/1.json", {})
    for _ in range(IDLE_LIVES):  # the stage got further meanwhile
        with pytest.raises(Killed):
            work(given)
    with pytest.raises(WorkersLost, match="worker 1/2 was lost 3 times and the stage got no furth"):
        work(given)


LOOK = "import pickle, sys{}; print(pickle.load(sys.stdin.buffer)({!r}, {!r}, ['HOME', 'NOBODY']))"


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("; sys.modules['parrot_core'] = None", "Parrot can't be imported there"),
        ("", "'shared': True, 'missing': ['NOBODY']"),
    ],
)
def test_a_machine_can_be_looked_at_though_it_lacks_parrot(
    tmp_path: Path, before: str, says: str
) -> None:
    (tmp_path / "proof").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-c", LOOK.format(before, str(tmp_path), "proof")],
        input=cloudpickle.dumps(machine_look()),
        env={"HOME": "/"},
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        check=True,
    )
    assert says in done.stdout.decode()
