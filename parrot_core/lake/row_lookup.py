"""Single rows and single columns of a published version, for whoever looks into it.

Reads row groups, and of those only the columns asked for; never a whole version, never a whole
file. Checksums aren't verified here: that would read everything (``parrot verify`` does).
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from parrot_core.errors import StorageError
from parrot_core.lake.lake import version_folder
from parrot_core.lake.manifest import FileEntry, Manifest
from parrot_core.lake.row_groups import RowGroups, opened_groups
from parrot_core.lake.storage import Storage

Part = Literal["rows", "rejects"]
Row = dict[str, Any]


class RowLookup:
    """Rows of a version by their position: files in the manifest's order."""

    def __init__(self, storage: Storage, manifest: Manifest, part: Part = "rows") -> None:
        self.manifest = manifest
        self.part = part
        self._storage = storage
        self._folder = version_folder(manifest.kind, manifest.name, manifest.version)
        chosen = manifest.files if part == "rows" else manifest.reject_files
        self.files: tuple[FileEntry, ...] = chosen if manifest.kind == "dataset" else ()
        self._ends = list(accumulate(entry.rows for entry in self.files))

    @property
    def key(self) -> str:
        """Names this part of this very content, for caches."""
        return f"{self._folder}/{self.part}#{self.manifest.commit_id}"

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def schema(self) -> pa.Schema:
        """The Arrow schema of the first file; empty when there is none."""
        if not self.files:
            return pa.schema([])
        with self._storage.open(self._path(self.files[0])) as file:
            return pq.read_schema(file)

    def read(self, positions: Sequence[int], columns: Sequence[str] | None = None) -> list[Row]:
        """Rows at positions, in the order asked for.

        Raises:
            IndexError: a position past the end.
            StorageError: a file is gone.
        """
        wanted: dict[int, list[int]] = {}
        for position in positions:
            if not 0 <= position < len(self):
                raise IndexError(f"row {position} of {len(self)}")
            wanted.setdefault(bisect_right(self._ends, position), []).append(position)
        found: dict[int, Row] = {}
        for number, chosen in wanted.items():
            found |= self._of_file(number, sorted(set(chosen)), columns)
        return [found[position] for position in positions]

    def file_table(self, number: int, columns: Sequence[str]) -> pa.Table:
        with self._opened(number) as file:
            return file.whole(list(columns))

    def groups(self, number: int, columns: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
        """Some columns of one file, a row group at a time, with the position of its first row."""
        first = self._first(number)
        with self._opened(number) as file:
            for group in range(len(file)):
                table = file.read(group, list(columns))
                yield first, table
                first += table.num_rows

    def _of_file(
        self, number: int, positions: Sequence[int], columns: Sequence[str] | None
    ) -> dict[int, Row]:
        first = self._first(number)
        found: dict[int, Row] = {}
        with self._opened(number) as file:
            for group in range(len(file)):
                rows = file.rows(group)
                here = [p for p in positions if first <= p < first + rows]
                if here:
                    table = file.read(group, list(columns) if columns else None)
                    taken = table.take([p - first for p in here])
                    found |= dict(zip(here, taken.to_pylist(), strict=True))
                first += rows
        return found

    def _first(self, number: int) -> int:
        return self._ends[number - 1] if number else 0

    def _path(self, entry: FileEntry) -> str:
        return f"{self._folder}/{entry.path}"

    @contextmanager
    def _opened(self, number: int) -> Iterator[RowGroups]:
        path = self._path(self.files[number])
        try:
            with opened_groups(self._storage, path) as groups:
                yield groups
        except FileNotFoundError:
            where = self._storage.show(path)
            raise StorageError(f"{where}: missing from a published version") from None
        except pa.ArrowInvalid as error:
            where = self._storage.show(path)
            raise StorageError(f"{where}: not a Parquet file: {error}") from None
