"""A range of the rows of a Parquet file, a row group in memory at a time.

Through a Python file Arrow would pre-buffer in threads of its own, and one that lets go of the
file while the interpreter ends takes the process down with it. So a local file is opened by its
name, and of a remote one the bytes of a row group are fetched here, in one request.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq


def local_rows(
    path: Path, start: int, end: int, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Rows ``start`` to ``end`` of a file on this machine, of all columns or of these."""
    with pq.ParquetFile(path, pre_buffer=True) as parquet:
        for group, first, count in _groups_between(parquet, start, end):
            yield parquet.read_row_group(group, columns).slice(first, count)


def fetched_rows(
    file: IO[bytes], start: int, end: int, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Rows of a file that isn't on this machine, each row group fetched in one request.

    All in the caller's thread, and so without Arrow's own pre-buffering.
    """
    fetched = _Fetched(file)
    with pq.ParquetFile(fetched, pre_buffer=False) as parquet:
        for group, first, count in _groups_between(parquet, start, end):
            fetched.fetch(*_bytes_of(parquet.metadata.row_group(group), columns))
            table = parquet.read_row_group(group, columns, use_threads=False)
            yield table.slice(first, count)


def _groups_between(file: pq.ParquetFile, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Row groups that hold rows of a range: (group, first row in it, rows of it)."""
    before = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        skip, stop = max(0, start - before), min(rows, end - before)
        if skip < stop:
            yield group, skip, stop - skip
        before += rows


def _bytes_of(group: pq.RowGroupMetaData, columns: Sequence[str] | None) -> tuple[int, int]:
    """Where a row group's columns, or these of them, begin and end in the file."""
    every = [group.column(number) for number in range(group.num_columns)]
    read = [c for c in every if columns is None or c.path_in_schema.split(".")[0] in columns]
    starts = [column.dictionary_page_offset or column.data_page_offset for column in read]
    sizes = (column.total_compressed_size for column in read)
    return min(starts), max(s + size for s, size in zip(starts, sizes, strict=True))


class _Fetched(io.RawIOBase):
    """A file of which one range is held in memory; the rest is read as it is asked for."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._start, self._held = 0, b""
        self._place = 0

    def fetch(self, start: int, end: int) -> None:
        """Hold a range, instead of the one before."""
        self._file.seek(start)
        self._start, self._held = start, self._file.read(end - start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            self._place = self._file.seek(offset, whence)
        else:
            self._place = offset + (self._place if whence == io.SEEK_CUR else 0)
        return self._place

    def readinto(self, target: Any) -> int:
        wanted, first = len(target), self._place - self._start
        if first < 0 or first + wanted > len(self._held):
            self._file.seek(self._place)
            piece = self._file.read(wanted)
        else:
            piece = self._held[first : first + wanted]
        target[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)
