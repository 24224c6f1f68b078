"""Checkpoints of a training under way, kept in the lake so that another machine can go on.

Layout below the shard's folder: ``checkpoints/<attempt>/<step>/<files>`` and, written last,
``checkpoint.json`` with the checksum of each. What has no such record was never finished, and is
never resumed from. The folder bears the attempt, so that a superseded worker overwrites nothing.
"""

import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from parrot_core.errors import CorruptFile
from parrot_core.lake.manifest import FileEntry
from parrot_core.lake.records import Record
from parrot_core.lake.shard_writer import upload_verified
from parrot_core.lake.storage import Storage

RECORD = "checkpoint.json"


class Checkpoint(Record):
    """A whole checkpoint in the lake."""

    identity: str  # of the training, the same on every machine
    step: int
    attempt: str
    files: tuple[FileEntry, ...]  # paths relative to the checkpoint's folder


def newest_step(storage: Storage, folder: str) -> int:
    """The optimiser step of the newest whole checkpoint of a shard; 0 without one."""
    return max((int(path.split("/")[-2]) for path in _records(storage, folder)), default=0)


def _records(storage: Storage, folder: str) -> list[str]:
    depth = folder.count("/") + 3
    return [
        path
        for path in storage.list(folder)
        if path.endswith(f"/{RECORD}") and path.count("/") == depth
    ]


class Checkpoints:
    """The checkpoints of one shard of a stage that trains."""

    def __init__(
        self, storage: Storage, folder: str, attempt: str, check: Callable[[], None]
    ) -> None:
        """New ones are written below ``folder``, under the name of ``attempt``.

        ``check`` is asked before each write; it raises when the shard is no longer this attempt's.
        """
        self._storage = storage
        self._folder = folder
        self._attempt = attempt
        self._check = check

    def keep(self, local: Path, names: Sequence[str], step: int, identity: str) -> None:
        """Upload a checkpoint, then forget all older ones.

        Args:
            names: its files, relative to ``local``.
            step: the optimiser step after which it was taken.

        Raises:
            FileNotFoundError: it was removed meanwhile, for a newer one is there.
        """
        place = self._place(self._attempt, step)
        entries = []
        for name in names:
            self._check()
            entries.append(upload_verified(self._storage, local / name, place, name))
        record = Checkpoint(
            identity=identity, step=step, attempt=self._attempt, files=tuple(entries)
        )
        self._check()
        self._storage.write_bytes(f"{place}/{RECORD}", record.to_bytes())
        self._remove(
            path for path in self._storage.list(self._folder) if not path.startswith(f"{place}/")
        )

    def newest(self, identity: str) -> Checkpoint | None:
        """The whole checkpoint of the highest step that belongs to a training."""
        found = []
        for data in self._storage.read_jsons(_records(self._storage, self._folder)):
            try:
                record = Checkpoint.model_validate(data)
            except ValidationError:
                continue  # gone since, or of another layout: no harm, an older one will do
            if record.identity == identity:
                found.append(record)
        return max(found, key=lambda record: record.step, default=None)

    def fetch(self, checkpoint: Checkpoint, target: Path, seal: Callable[[Path], None]) -> None:
        """Download a checkpoint, verified; the folder appears whole or not at all.

        Args:
            checkpoint: one that ``newest`` found.
            target: the folder it becomes; what lies there is replaced.
            seal: called on the finished folder before it gets its name.

        Raises:
            CorruptFile: a file differs from what was kept.
        """
        place = self._place(checkpoint.attempt, checkpoint.step)
        scratch = target.with_name(f".fetching-{uuid.uuid4().hex}")
        try:
            for entry in checkpoint.files:
                local = scratch / entry.path
                self._storage.download(f"{place}/{entry.path}", local)
                with local.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                if digest != entry.sha256:
                    shown = self._storage.show(f"{place}/{entry.path}")
                    raise CorruptFile(shown, f"SHA-256 {entry.sha256}", digest)
            seal(scratch)
            shutil.rmtree(target, ignore_errors=True)
            scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def forget(self, step: int) -> None:
        """Remove what this attempt kept of a step."""
        self._remove(self._storage.list(self._place(self._attempt, step)))

    def _remove(self, paths: Iterable[str]) -> None:
        """Records first: what is half removed must not look whole."""
        self._check()
        ordered = sorted(paths, key=lambda path: not path.endswith(f"/{RECORD}"))
        records = [path for path in ordered if path.endswith(f"/{RECORD}")]
        self._storage.delete(records)
        self._storage.delete(ordered[len(records) :])

    def _place(self, attempt: str, step: int) -> str:
        return f"{self._folder}/{attempt}/{step:08d}"
