"""The lake: published versions of datasets and models, to read and to publish.

Layout below the root::

    datasets/<name>/<version>/manifest.json, shards/*.parquet, rejects/*.parquet
    models/<name>/<version>/manifest.json, <attempt>/*
    runs/<run>/…                                  state of runs, see lake/run_records.py

A version is its manifest: files that no manifest names are not part of it.
"""

import hashlib
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from parrot_core.errors import CorruptFile, MissingVersion, StorageError, VersionConflict
from parrot_core.lake.manifest import FileEntry, Manifest
from parrot_core.lake.records import read_record
from parrot_core.lake.row_groups import opened_groups, table_in
from parrot_core.lake.storage import Storage

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["dataset", "model"]
_FOLDERS: dict[Kind, str] = {"dataset": "datasets", "model": "models"}


def version_folder(kind: Kind, name: str, version: str) -> str:
    """Folder of a version, relative to the lake's root."""
    return f"{_FOLDERS[kind]}/{name}/{version}"


class Lake:
    """Versions under one root URL."""

    def __init__(self, url: str) -> None:
        """Open a lake at a path or an fsspec URL; it is created by the first write."""
        self.url = url
        self.storage = Storage(url)
        self._opened: dict[tuple[str, str], DatasetVersion] = {}

    def manifest(self, kind: Kind, name: str, version: str) -> Manifest:
        """The manifest of a published version.

        Raises:
            MissingVersion: there is none; the error lists those there are.
        """
        path = f"{version_folder(kind, name, version)}/manifest.json"
        found = read_record(self.storage, path, Manifest)
        if found is None:
            published = [m.version for m in self.versions() if (m.kind, m.name) == (kind, name)]
            raise MissingVersion(name, version, published)
        return found

    def published(self, kind: Kind, name: str, version: str) -> bool:
        return self.storage.exists(f"{version_folder(kind, name, version)}/manifest.json")

    def dataset(self, name: str, version: str) -> "DatasetVersion":
        """A published dataset version; MissingVersion if there is none."""
        return DatasetVersion(self.storage, self.manifest("dataset", name, version))

    def opened(self, name: str, version: str) -> "DatasetVersion":
        """Like :meth:`dataset`, but read once: for the many shards that read parts of one version.

        It remembers which files it has verified.
        """
        key = (name, version)
        return self._opened.get(key) or self._opened.setdefault(key, self.dataset(*key))

    def model(self, name: str, version: str) -> "ModelVersion":
        """A published model version; MissingVersion if there is none."""
        return ModelVersion(self.storage, self.manifest("model", name, version))

    def versions(self) -> list[Manifest]:
        """Manifests of all published versions, newest first."""
        found = [self.manifest(*name) for name in self.published_names()]
        return sorted(found, key=lambda m: (m.created_at, m.name), reverse=True)

    def published_names(self) -> list[tuple[Kind, str, str]]:
        """Kind, name and version of everything published, from one listing a kind."""
        return [
            (kind, path.split("/")[1], path.split("/")[2])
            for kind, folder in _FOLDERS.items()
            for path in self.storage.list(folder)
            if path.endswith("/manifest.json") and path.count("/") == 3
        ]

    def publish(self, manifest: Manifest) -> None:
        """Make a version visible, if no other writer has.

        Raises:
            VersionConflict: another commit holds this name and version; it stands.
            AccountingError: the manifest's accounts don't close.
        """
        place = f"{manifest.name}@{manifest.version}"
        manifest.accounting.close(place)
        folder = version_folder(manifest.kind, manifest.name, manifest.version)
        data = manifest.to_bytes()
        if not self.storage.put_if_absent(f"{folder}/manifest.json", data):
            raise VersionConflict(f"{place} was published by another writer; its content stands")


class _Version:
    def __init__(self, storage: Storage, manifest: Manifest) -> None:
        self.manifest = manifest
        self._storage = storage
        self._folder = version_folder(manifest.kind, manifest.name, manifest.version)

    @property
    def url(self) -> str:
        """Folder of the version, as a person would write it."""
        return self._storage.show(self._folder)

    def problems(self) -> Iterator[str]:
        """Yield a line for each file that is missing or differs from the manifest."""
        for entry in (*self.manifest.files, *self.manifest.reject_files):
            try:
                self._check(entry, self._storage.sha256(f"{self._folder}/{entry.path}"))
            except FileNotFoundError:
                yield f"{self.url}/{entry.path}: missing"
            except CorruptFile as error:
                yield str(error)

    def _check(self, entry: FileEntry, found: str) -> None:
        if found != entry.sha256:
            raise CorruptFile(f"{self.url}/{entry.path}", f"SHA-256 {entry.sha256}", found)


class DatasetVersion(_Version):
    """Immutable Parquet shards, and the rejects that close the accounts."""

    def __init__(self, storage: Storage, manifest: Manifest) -> None:
        super().__init__(storage, manifest)
        self._verified: set[str] = set()
        self._verifying = threading.Lock()

    def part(
        self, position: int, start: int, rows: int, columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """Rows ``start`` to ``start + rows`` of one file, a row group in memory at a time.

        The file's checksum is verified when its first part is read, once for this object: a
        thousand shards that read a thousand parts of one file don't read it a thousand times.

        Raises:
            CorruptFile: the content differs from the manifest.
            StorageError: the file is gone.
        """
        entry = self.manifest.files[position]
        with self._present(entry):
            self._verify_once(entry)
            with opened_groups(self._storage, f"{self._folder}/{entry.path}") as groups:
                yield from groups.between(start, start + rows, columns)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self._concat(self.manifest.files, columns)

    def frame(self, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        import polars as pl

        frame = pl.from_arrow(self.table(columns))
        assert isinstance(frame, pl.DataFrame)
        return frame

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """All rows, one file in memory at a time."""
        for entry in self.manifest.files:
            for batch in self._table(entry, columns).to_batches(max_chunksize=1000):
                yield from batch.to_pylist()

    def groups(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """All rows, a row group in memory at a time; columns that a file lacks are left out.

        Raises:
            CorruptFile: a file's content differs from the manifest.
            StorageError: a file is gone.
        """
        for entry in self.manifest.files:
            with self._present(entry), self._parquet(entry) as parquet:
                held = parquet.schema_arrow.names
                wanted = None if columns is None else [c for c in columns if c in held]
                for group in range(parquet.num_row_groups):
                    yield parquet.read_row_group(group, wanted)

    def rejects(self) -> Iterator[dict[str, Any]]:
        """All rejects, in ``schemas.REJECTS``."""
        for entry in self.manifest.reject_files:
            for batch in self._table(entry, None).to_batches(max_chunksize=1000):
                yield from batch.to_pylist()

    def _concat(self, entries: Sequence[FileEntry], columns: Sequence[str] | None) -> pa.Table:
        if not entries:
            from parrot_core.schemas import DATASETS

            schema = DATASETS[self.manifest.name].arrow
            empty = schema.empty_table()
            return empty.select(list(columns)) if columns else empty
        return pa.concat_tables(self._table(entry, columns) for entry in entries)

    def _table(self, entry: FileEntry, columns: Sequence[str] | None) -> pa.Table:
        with self._present(entry):
            data = self._storage.read_bytes(f"{self._folder}/{entry.path}")
        self._check(entry, hashlib.sha256(data).hexdigest())
        return table_in(data, list(columns) if columns else None)

    @contextmanager
    def _parquet(self, entry: FileEntry) -> Iterator[pq.ParquetFile]:
        """Open a file by its name on local disk, verified; a remote one is copied there first.

        Through a Python file Arrow would read in threads of its own, and one that lets go of the
        file while the interpreter ends takes the process down with it.
        """
        path, root = f"{self._folder}/{entry.path}", self._storage.local_root
        with tempfile.TemporaryDirectory(prefix="parrot-read-") as scratch:
            local = Path(scratch) / "rows.parquet" if root is None else root / path
            if root is None:
                self._storage.download(path, local)
                with local.open("rb") as file:
                    self._check(entry, hashlib.file_digest(file, "sha256").hexdigest())
            else:
                self._verify_once(entry)
            with pq.ParquetFile(local, pre_buffer=True) as parquet:
                yield parquet

    def _verify_once(self, entry: FileEntry) -> None:
        with self._verifying:
            if entry.path not in self._verified:
                self._check(entry, self._storage.sha256(f"{self._folder}/{entry.path}"))
                self._verified.add(entry.path)

    @contextmanager
    def _present(self, entry: FileEntry) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise StorageError(
                f"{self.url}/{entry.path}: missing from a published version"
            ) from None


class ModelVersion(_Version):
    """A model folder as ``from_pretrained`` and ``vllm serve`` load it."""

    def local_copy(self, cache: Path) -> Path:
        """A local folder with the model's files, verified; a lake on local disk is used in place.

        Args:
            cache: folder for copies of remote models; a copy is made once a version.
        """
        folders = {entry.path.rsplit("/", 1)[0] for entry in self.manifest.files}
        root = min(folders, key=len)
        local_root = self._storage.local_root
        if local_root is not None:
            for problem in self.problems():
                raise StorageError(problem)
            return local_root / self._folder / root
        target = cache / f"{self.manifest.name}-{self.manifest.version}-{self.manifest.commit_id}"
        if not target.exists():
            self._download(target, root)
        return target

    def _download(self, target: Path, root: str) -> None:
        temporary = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
        try:
            for entry in self.manifest.files:
                local = temporary / entry.path.removeprefix(root + "/")
                self._storage.download(f"{self._folder}/{entry.path}", local)
                with local.open("rb") as file:
                    self._check(entry, hashlib.file_digest(file, "sha256").hexdigest())
            try:
                temporary.rename(target)
            except OSError:
                if not target.exists():  # else another process copied it at the same time
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
