"""Shards read parts of a published file: the right rows, verified, without reading it each time."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.errors import CorruptFile, StorageError
from parrot_core.execution.shard_work import rows_of
from parrot_core.lake.lake import DatasetVersion, Lake, version_folder
from parrot_core.lake.manifest import Accounting, Fingerprint, Manifest
from parrot_core.lake.run_records import utc_now
from parrot_core.lake.shard_writer import ParquetFiles
from parrot_core.lake.stage_plan import Slice
from parrot_core.lake.storage import Storage
from parrot_core.schemas import SEEDS

ROWS = 2500  # three row groups


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lake")
    publish_seeds(Lake(str(root)))
    return root


def publish_seeds(lake: Lake) -> None:
    folder = version_folder("dataset", "seeds", "v")
    with ParquetFiles(lake.storage, folder, "shards/0", SEEDS.arrow, 50_000) as files:
        for n in range(ROWS):
            files.append({"id": f"s{n}", "source_ids": [], "language": "en", "query": f"q{n}"})
        entries = files.finish()
    lake.publish(
        Manifest(
            kind="dataset",
            name="seeds",
            version="v",
            commit_id="c",
            created_at=utc_now(),
            stage="seeds",
            run="v",
            inputs={},
            recipe={},
            fingerprint=Fingerprint(recipe="", code=""),
            files=entries,
            accounting=Accounting(unit="session"),
            seconds=0,
        )
    )


def ids(lake: Lake, start: int, rows: int) -> list[str]:
    return [row["id"] for row in rows_of(lake, [Slice("seeds", "v", 0, start, rows)])]


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, ROWS), rows=st.integers(0, ROWS))
def test_a_part_holds_its_rows_and_no_others(root: Path, start: int, rows: int) -> None:
    end = min(ROWS, start + rows)
    assert ids(Lake(str(root)), start, end - start) == [f"s{n}" for n in range(start, end)]


def test_a_file_is_verified_once_however_many_parts_of_it_are_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    checksum = Storage.sha256

    def counting(self: Storage, path: str) -> str:
        verified.append(path)
        return checksum(self, path)

    monkeypatch.setattr(Storage, "sha256", counting)
    lake = Lake(str(root))
    for start in range(0, ROWS, 100):
        assert len(ids(lake, start, 100)) == 100
    assert len(verified) == 1


@pytest.mark.parametrize("rows", [10, ROWS])
def test_a_flipped_bit_is_found_before_any_row_is_read(tmp_path: Path, rows: int) -> None:
    lake = Lake(str(tmp_path))
    publish_seeds(lake)
    path = next((tmp_path / "datasets" / "seeds" / "v" / "shards").iterdir())
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptFile, match=path.name):
        ids(lake, 0, rows)


@pytest.mark.parametrize("rows", [10, ROWS])
def test_a_file_that_is_gone_is_named(tmp_path: Path, rows: int) -> None:
    lake = Lake(str(tmp_path))
    publish_seeds(lake)
    path = next((tmp_path / "datasets" / "seeds" / "v" / "shards").iterdir())
    path.unlink()
    with pytest.raises(StorageError, match=f"{path.name}: missing from a published version"):
        ids(lake, 0, rows)


def test_many_shards_open_a_version_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    monkeypatch.setattr(Lake, "dataset", _counting(Lake.dataset, opened))
    lake = Lake(str(root))
    versions = {id(lake.opened("seeds", "v")) for _ in range(5)}
    assert len(versions) == len(opened) == 1


def _counting(real: Any, calls: list[Any]) -> Any:
    def dataset(self: Lake, name: str, version: str) -> DatasetVersion:
        calls.append(name)
        found: DatasetVersion = real(self, name, version)
        return found

    return dataset
