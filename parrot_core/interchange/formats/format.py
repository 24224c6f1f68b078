"""The shape of a format, and how a version's rows are divided into splits."""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from parrot_core.lake.lake import DatasetVersion
from parrot_core.schemas import DATASETS
from parrot_core.telemetry.progress import Progress

Row = dict[str, Any]

ONLY_SPLIT = "train"
"""The split of a dataset that isn't divided."""
ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Written:
    """One file of rows, relative to the folder."""

    path: str
    split: str
    rows: int


class Format(Protocol):
    """Writes the rows of a version to a local folder."""

    @property
    def description(self) -> str: ...

    def takes(self, dataset: str) -> bool:
        """Whether it can hold the rows of this dataset."""
        ...

    def write(self, version: DatasetVersion, folder: Path, progress: Progress) -> list[Written]:
        """Write all rows, files verified against their checksums as they are read."""
        ...


def batches(version: DatasetVersion) -> Iterator[tuple[str, pa.RecordBatch]]:
    """(split, rows) in the version's order, at most ROWS_AT_ONCE rows at once."""
    for position, entry in enumerate(version.manifest.files):
        for table in version.part(position, 0, entry.rows):
            for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
                yield from _by_split(batch)


def _by_split(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    if "split" not in batch.schema.names:
        yield ONLY_SPLIT, batch
        return
    for split in pc.unique(batch.column("split")).to_pylist():
        chosen = pc.equal(batch.column("split"), split)
        yield split or ONLY_SPLIT, batch.filter(pc.fill_null(chosen, split is None))


def has_messages(dataset: str) -> bool:
    """Whether the rows of a dataset are sessions."""
    return "messages" in DATASETS[dataset].arrow.names


class TextFiles:
    """One text file a split, opened when its first row comes."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self._folder = folder
        self._suffix = suffix
        self._stack = ExitStack()
        self._files: dict[str, IO[str]] = {}
        self._rows: dict[str, int] = {}

    def __enter__(self) -> "TextFiles":
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def splits(self) -> Iterable[tuple[str, IO[str]]]:
        return self._files.items()

    def write(self, split: str, value: object, *, first: str, between: str) -> None:
        """Append a JSON value; ``first`` opens a file, ``between`` parts it from the one before."""
        if split not in self._files:
            path = self._folder / f"{split}{self._suffix}"
            self._files[split] = self._stack.enter_context(path.open("w", encoding="utf-8"))
            self._rows[split] = 0
        lead = between if self._rows[split] else first
        self._files[split].write(lead + json.dumps(value, ensure_ascii=False))
        self._rows[split] += 1

    def written(self) -> list[Written]:
        return [Written(f"{split}{self._suffix}", split, n) for split, n in self._rows.items()]
