"""A folder outside the lake that is written whole or not at all, on any fsspec URL.

On a local disk it is written beside its place and renamed. An object store can't rename: there a
file says that the writing has begun, and ``MARKER`` is written last.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from parrot_core.errors import StorageError, UserError
from parrot_core.lake.storage import TEMPORARY, Storage, to_json

MARKER = "export.json"
"""Written by the caller: its ``files`` names all others. Without it the folder isn't whole."""
BEGUN = "export-begun.json"


@contextmanager
def whole_folder(url: str, *, force: bool) -> Iterator[Path]:
    """A local folder to write to, ``MARKER`` included; it appears at ``url`` when the block ends.

    When the block raises, nothing appears and what was there before stays.

    Args:
        force: replace what an earlier export wrote there; never anything else.

    Raises:
        UserError: something is there, and may not be replaced.
        StorageError: it can't be written.
    """
    storage = Storage(url)
    _may_be_written(storage, force=force)
    if storage.local_root is not None:
        with _local(storage.local_root, force=force) as folder:
            yield folder
        return
    with tempfile.TemporaryDirectory(prefix="parrot-export-") as scratch:
        yield Path(scratch)
        _upload(storage, Path(scratch))


def _may_be_written(storage: Storage, *, force: bool) -> None:
    root = storage.local_root
    if root is not None and root.exists() and not root.is_dir():
        raise UserError(f"{root}: is a file, expected a folder to write to")
    there = storage.list("")
    if not there:
        return
    place = storage.show("").rstrip("/")
    others = sorted(set(there) - _ours(storage, there))
    if others:
        raise UserError(
            f"{place}: holds files that no export wrote ({others[0]}); name another folder"
        )
    if not force:
        what = "an export is there" if MARKER in there else "an unfinished export is there"
        raise UserError(f"{place}: {what}; replace it with --force, or name another folder")


def _ours(storage: Storage, there: Sequence[str]) -> set[str]:
    """Files that an export wrote, finished or not."""
    found: set[str] = set()
    for record in (MARKER, BEGUN):
        if record in there:
            named = storage.read_json(record).get("files")
            found |= {record, *(str(path) for path in named or ())}
    return found


@contextmanager
def _local(target: Path, *, force: bool) -> Iterator[Path]:
    stem = f"{TEMPORARY}{uuid.uuid4().hex}"
    scratch, before = target.with_name(f"{stem}-new"), target.with_name(f"{stem}-old")
    try:
        scratch.mkdir(parents=True)
    except OSError as error:
        raise StorageError(f"{target}: can't be written: {error.strerror}") from error
    try:
        yield scratch
        try:
            if force and target.exists():
                target.rename(before)
            scratch.rename(target)
        except OSError as error:  # somebody wrote there meanwhile
            if before.exists() and not target.exists():
                before.rename(target)
            raise StorageError(f"{target}: can't be written: {error.strerror}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(before, ignore_errors=True)


def _upload(storage: Storage, folder: Path) -> None:
    files = sorted(
        str((Path(root) / name).relative_to(folder))
        for root, _, names in os.walk(folder)
        for name in names
    )
    storage.write_bytes(BEGUN, to_json({"files": files}))
    storage.delete([MARKER])
    storage.delete([path for path in storage.list("") if path != BEGUN])
    try:
        for path in files:
            if path != MARKER:
                storage.upload(folder / path, path)
    except BaseException:
        storage.delete([*files, BEGUN])
        raise
    storage.upload(folder / MARKER, MARKER)
    storage.delete([BEGUN])
