"""Parquet files, plain or laid out as a Hugging Face dataset."""

from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from parrot_core.interchange.formats.format import ONLY_SPLIT, Written, batches
from parrot_core.lake.lake import DatasetVersion
from parrot_core.schemas import DATASETS
from parrot_core.telemetry.progress import Progress

FILE_BYTES = 500_000_000
"""Uncompressed size at which the next file begins, as Hugging Face's own writer does."""


class Parquet:
    """The version's rows and columns as they are, one or more files a split."""

    description = "plain Parquet"
    subfolder = ""

    def __init__(self, file_bytes: int = FILE_BYTES) -> None:
        """``file_bytes``: uncompressed bytes of rows in one file, about."""
        self._file_bytes = file_bytes

    def takes(self, dataset: str) -> bool:
        return True

    def write(self, version: DatasetVersion, folder: Path, progress: Progress) -> list[Written]:
        """Write ``train-00000-of-00002.parquet`` and so on."""
        schema = DATASETS[version.manifest.name].arrow
        place = folder / self.subfolder
        place.mkdir(exist_ok=True)
        splits: dict[str, _Split] = {}
        with ExitStack() as stack:

            def split_of(name: str) -> _Split:
                if name not in splits:
                    made = _Split(place, name, schema, self._file_bytes)
                    splits[name] = stack.enter_context(made)
                return splits[name]

            for name, batch in batches(version):
                split_of(name).write(batch)
                progress(batch.num_rows)
            if not splits:  # a version without rows is a file without rows
                split_of(ONLY_SPLIT).write(pa.RecordBatch.from_pylist([], schema=schema))
        return [
            Written(str(path.relative_to(folder)), name, rows)
            for name, split in splits.items()
            for path, rows in split.named()
        ]


class HuggingFace(Parquet):
    """A dataset that ``datasets.load_dataset`` and the hub read, with its card."""

    description = "Hugging Face dataset"
    subfolder = "data"


class _Split:
    """The files of one split; named when it is known how many there are."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema, file_bytes: int) -> None:
        self._folder = folder
        self._name = name
        self._schema = schema
        self._file_bytes = file_bytes
        self._writer: pq.ParquetWriter | None = None
        self._bytes = 0
        self._rows: list[int] = []  # of each file

    def __enter__(self) -> "_Split":
        return self

    def __exit__(self, *exc: object) -> None:
        self._finish()

    def write(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            path = self._folder / f"{self._name}-{len(self._rows):05d}.part"
            self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
            self._rows.append(0)
        self._writer.write_batch(batch)
        self._rows[-1] += batch.num_rows
        self._bytes += batch.nbytes
        if self._bytes >= self._file_bytes:
            self._finish()

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._bytes = 0

    def named(self) -> list[tuple[Path, int]]:
        found = []
        for number, rows in enumerate(self._rows):
            part = self._folder / f"{self._name}-{number:05d}.part"
            name = f"{self._name}-{number:05d}-of-{len(self._rows):05d}.parquet"
            found.append((part.rename(self._folder / name), rows))
        return found
