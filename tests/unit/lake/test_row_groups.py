"""Parts of a Parquet file: the rows asked for, read in the caller's thread, a request a group."""

import io
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.lake.row_groups import RowGroups, table_in

ROWS = 50
TABLE = pa.table(
    {
        "id": [f"row {n}" for n in range(ROWS)],
        "text": [None if n % 7 == 0 else "word " * (n % 5) for n in range(ROWS)],
        "messages": [[{"role": "user", "content": str(n)}] * (n % 3) for n in range(ROWS)],
    }
)


class Watched(io.BytesIO):
    """A remote file that notes who reads how much of it."""

    def __init__(self, data):
        super().__init__(data)
        self.reads = []

    def read(self, size=-1):
        self.reads.append((threading.current_thread(), size))
        return super().read(size)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    place = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pq.write_table(TABLE, place, row_group_size=8, compression="zstd")
    return place


@given(start=st.integers(0, ROWS), count=st.integers(0, ROWS))
def test_a_part_holds_the_rows_asked_for_wherever_the_file_is(path, start, count):
    expected = TABLE.slice(start, count)
    for tables in (
        RowGroups(path).between(start, start + count),
        RowGroups(io.BytesIO(path.read_bytes())).between(start, start + count),
    ):
        found = list(tables)
        assert sum(table.num_rows for table in found) == expected.num_rows
        if found:
            assert pa.concat_tables(found).to_pylist() == expected.to_pylist()


def test_of_a_part_only_the_columns_asked_for_are_read(path):
    file, columns = Watched(path.read_bytes()), ("id", "messages")
    expected = TABLE.slice(5, 20).select(columns).to_pylist()
    for groups in (RowGroups(path), RowGroups(file)):
        found = pa.concat_tables(groups.between(5, 25, columns))
        assert found.to_pylist() == expected
    whole = Watched(path.read_bytes())
    assert sum(table.num_rows for table in RowGroups(whole).between(5, 25, ["id"])) == 20
    assert sum(size for _, size in whole.reads) < sum(size for _, size in file.reads)


def test_a_remote_file_is_read_in_the_callers_thread_and_a_row_group_at_once(path):
    def reads(rows):
        file = Watched(path.read_bytes())
        assert sum(table.num_rows for table in RowGroups(file).between(0, rows)) == rows
        assert {thread for thread, _ in file.reads} == {threading.current_thread()}
        return len(file.reads)

    footer = reads(0)
    assert footer <= 3
    assert reads(8) == footer + 1
    assert reads(24) == footer + 3


def test_a_file_in_memory_is_read_whole(path):
    assert table_in(path.read_bytes()).to_pylist() == TABLE.to_pylist()
    assert table_in(path.read_bytes(), ["id"]).column_names == ["id"]
    with pytest.raises(pa.ArrowInvalid):
        table_in(b"no Parquet")


def test_a_file_without_rows_and_a_column_that_is_not_there_are_read_too(tmp_path, path):
    empty = tmp_path / "empty.parquet"
    pq.ParquetWriter(empty, TABLE.schema).close()
    for file in (empty, io.BytesIO(empty.read_bytes())):
        assert RowGroups(file).whole(["id"]).schema == TABLE.select(["id"]).schema
    for file in (path, io.BytesIO(path.read_bytes())):
        assert RowGroups(file).read(0, ["flags"]).column_names == []
        assert RowGroups(file).whole(["id"]).to_pylist() == TABLE.select(["id"]).to_pylist()
