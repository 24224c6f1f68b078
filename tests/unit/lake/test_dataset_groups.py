"""All rows of a version, a row group at a time: in order, verified, from a disk or from afar."""

from pathlib import Path

import pytest

from parrot_core.errors import CorruptFile, StorageError
from parrot_core.lake.lake import Lake
from tests.support.lakes.run_state import publish

ROWS = [
    {
        "id": f"s{n}",
        "source_ids": [],
        "language": "en",
        "query": f"q{n}",
        "system": None,
        "topic": "a",
    }
    for n in range(5)
]
FILE = "datasets/seeds/demo/shards/00000-0123456789ab-0.parquet"


@pytest.fixture(params=["disk", "memory"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path) if request.param == "disk" else f"memory://{tmp_path}")
    publish(lake, "seeds", ROWS)
    return lake


def test_every_row_comes_once_and_in_order(lake: Lake) -> None:
    tables = list(lake.dataset("seeds", "demo").groups())
    assert [row for table in tables for row in table.to_pylist()] == ROWS


def test_a_column_that_a_file_lacks_is_left_out(lake: Lake) -> None:
    tables = list(lake.dataset("seeds", "demo").groups(["id", "unheard_of"]))
    assert [table.column_names for table in tables] == [["id"]]


def test_a_changed_file_is_refused(lake: Lake) -> None:
    lake.storage.write_bytes(FILE, lake.storage.read_bytes(FILE)[:-1] + b"?")
    with pytest.raises(CorruptFile):
        list(lake.dataset("seeds", "demo").groups())


def test_a_file_that_is_gone_is_told(lake: Lake) -> None:
    lake.storage.delete([FILE])
    with pytest.raises(StorageError, match="missing from a published version"):
        list(lake.dataset("seeds", "demo").groups())
