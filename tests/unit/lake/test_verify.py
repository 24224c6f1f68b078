from collections.abc import Callable
from pathlib import Path

import pytest

from parrot_core.execution.runs import begin_run
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.run import Run
from parrot_core.lake.verify import manifests, verify_version
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SeedStage, drive


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return begin_run(minimal_recipe(str(tmp_path)))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_version_as_it_was_published_has_no_problem(run: Run) -> None:
    manifest = drive(run, SeedStage())
    read: list[int] = []
    assert verify_version(run.lake, manifest, read.append) == []
    assert sum(read) == sum(e.bytes for e in (*manifest.files, *manifest.reject_files))


@pytest.mark.parametrize(
    ("fault", "damage"),
    [
        ("damaged", flip),
        ("missing", Path.unlink),
        ("extra", lambda path: path.with_name("stray.parquet").write_bytes(b"x")),
    ],
)
@pytest.mark.parametrize("kind", ["files", "reject_files"])
def test_damage_is_found_and_named(
    run: Run, tmp_path: Path, kind: str, fault: str, damage: Callable[[Path], object]
) -> None:
    manifest = drive(run, SeedStage())
    damage(tmp_path / "datasets/seeds/test" / getattr(manifest, kind)[1].path)
    [problem] = verify_version(run.lake, manifest)
    assert (problem.fault, problem.version) == (fault, "seeds@test")
    assert problem.path.startswith(str(tmp_path / "datasets/seeds/test"))


@pytest.mark.parametrize("field", ["rows_in", "rows_out"])
def test_accounts_that_do_not_close_are_a_problem(run: Run, field: str) -> None:
    manifest = drive(run, SeedStage())
    wrong = manifest.accounting.model_copy(update={field: 5})
    problems = verify_version(run.lake, manifest.model_copy(update={"accounting": wrong}))
    assert {problem.fault for problem in problems} == {"accounts"}


def test_a_manifest_that_cannot_be_read_does_not_hide_the_other_versions(
    run: Run, tmp_path: Path
) -> None:
    drive(run, SeedStage())
    (tmp_path / "datasets/seeds/other").mkdir()
    (tmp_path / "datasets/seeds/other/manifest.json").write_text("{")
    read, problems = manifests(run.lake)
    assert [m.version for m in read if isinstance(m, Manifest)] == ["test"]
    assert [(p.fault, p.version) for p in problems] == [("damaged", "seeds@other")]
