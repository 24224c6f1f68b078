import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parrot_cli.main import app
from parrot_cli.upkeep import grace_in, size
from parrot_core.errors import UserError
from parrot_core.execution.runs import begin_run
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SeedStage, drive

LOSER = "datasets/seeds/test/shards/00000-aaaaaaaaaaaa-0.parquet"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    drive(begin_run(minimal_recipe(str(tmp_path))), SeedStage())
    return tmp_path


def parrot(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout


def test_verify_ends_with_1_when_anything_is_wrong(lake: Path) -> None:
    assert parrot("verify", "seeds", "--lake", str(lake)) == (
        0,
        "seeds@test: 6 files, 0 problems\n",
    )
    (lake / LOSER).write_bytes(b"rows that no manifest names")
    code, output = parrot("verify", "seeds@test", "--lake", str(lake), "--json")
    [problem] = json.loads(output)["problems"]
    assert (code, problem["fault"]) == (1, "extra")
    assert parrot("verify", "--all", "--lake", str(lake))[0] == 1


def test_show_prints_the_accounts(lake: Path) -> None:
    code, output = parrot("show", "seeds@test", "--lake", str(lake))
    assert code == 0
    assert "6 sessions in = 3 out + 3 rejected (query_too_short 3)" in output


def test_gc_shows_first_and_removes_only_with_yes(lake: Path) -> None:
    (lake / LOSER).write_bytes(b"x" * 2500)
    code, output = parrot("gc", "--lake", str(lake))
    assert code == 0
    assert "run test: live or too young" in output
    code, output = parrot("gc", "--lake", str(lake), "--grace", "0")
    assert "2.5 kB to remove: run it again with --yes" in output
    assert (lake / LOSER).exists()
    code, output = parrot("gc", "--lake", str(lake), "--grace", "0", "--yes", "--json")
    told = json.loads(output)
    assert (told["removed"], told["bytes"], len(told["garbage"])) == (True, 2500, 1)
    assert not (lake / LOSER).exists()
    assert "nothing to remove" in parrot("gc", "--lake", str(lake), "--grace", "0")[1]


def test_a_grace_time_is_read_or_refused() -> None:
    assert [grace_in(t) for t in ("90m", "0", "2d")] == [
        timedelta(minutes=90),
        timedelta(0),
        timedelta(days=2),
    ]
    with pytest.raises(UserError, match="found 'soon'"):
        grace_in("soon")


def test_sizes_are_for_people() -> None:
    assert [size(n) for n in (5, 2500, 3_000_000, 7_200_000_000)] == [
        "5 B",
        "2.5 kB",
        "3.0 MB",
        "7.2 GB",
    ]
