"""Rows of a Parquet file, a row group in memory at a time.

Through a Python object (a file, a ``BytesIO``) Arrow would read in threads of its own, and one that
lets go of the object while the interpreter ends aborts the process, or hangs it
(https://github.com/apache/arrow/issues/50482). So a local file is opened by its name; of a remote
one the bytes of a row group are fetched here, in one request; and both that and what is in memory
are decoded in the caller's thread.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from parrot_core.lake.storage import Storage


@contextmanager
def opened_groups(storage: Storage, path: str) -> Iterator["RowGroups"]:
    """A Parquet file of a lake, wherever that is."""
    if storage.local_root is not None:
        with RowGroups(storage.local_root / path) as groups:
            yield groups
        return
    with storage.open(path) as file, RowGroups(file) as groups:
        yield groups


def table_in(data: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole Parquet file that is in memory.

    Raises:
        pa.ArrowInvalid: it isn't one.
    """
    with pq.ParquetFile(pa.BufferReader(data), pre_buffer=False) as parquet:
        return parquet.read(columns, use_threads=False)


class RowGroups:
    """An open Parquet file: of this machine, or one that isn't."""

    def __init__(self, file: Path | IO[bytes]) -> None:
        self._fetched = None if isinstance(file, Path) else _Fetched(file)
        local = self._fetched is None
        self._parquet = pq.ParquetFile(self._fetched or file, pre_buffer=local)

    def __enter__(self) -> "RowGroups":
        return self

    def __exit__(self, *raised: object) -> None:
        self._parquet.close()

    def __len__(self) -> int:
        return int(self._parquet.num_row_groups)

    def rows(self, group: int) -> int:
        return int(self._parquet.metadata.row_group(group).num_rows)

    def read(self, group: int, columns: Sequence[str] | None = None) -> pa.Table:
        """A row group, of all columns or of these."""
        if self._fetched is None:
            return self._parquet.read_row_group(group, columns)
        if span := _bytes_of(self._parquet.metadata.row_group(group), columns):
            self._fetched.fetch(*span)
        return self._parquet.read_row_group(group, columns, use_threads=False)

    def whole(self, columns: Sequence[str]) -> pa.Table:
        """These columns of the whole file, which may have no rows."""
        tables = [self.read(group, columns) for group in range(len(self))]
        return pa.concat_tables(tables) if tables else self._parquet.read(columns)

    def between(
        self, start: int, end: int, columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """Rows ``start`` to ``end`` of the file."""
        before = 0
        for group in range(len(self)):
            rows = self.rows(group)
            skip, stop = max(0, start - before), min(rows, end - before)
            if skip < stop:
                yield self.read(group, columns).slice(skip, stop - skip)
            before += rows


def _bytes_of(group: pq.RowGroupMetaData, columns: Sequence[str] | None) -> tuple[int, int] | None:
    """Where a row group's columns, or these of them, begin and end in the file; None of none."""
    every = [group.column(number) for number in range(group.num_columns)]
    read = [c for c in every if columns is None or c.path_in_schema.split(".")[0] in columns]
    if not read:
        return None
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
