"""The one module that touches storage: atomic writes, put-if-absent, listing, on any fsspec URL."""

import errno
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from parrot_core.errors import DamagedRecord, StorageError, UserError
from parrot_core.lake.conditional_put import created
from parrot_core.lake.request_counter import RequestCounter, counter_of

T = TypeVar("T")

AT_ONCE = 16
"""Small files of an object store that are read or deleted at once."""
PART_BYTES = 64 << 20
"""Files of twice this size and more are uploaded in parts of it, several at once."""

TEMPORARY = ".tmp-"
"""Prefix of files in the making on local disks; never listed."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as a listing shows it."""

    path: str  # relative to the lake's root
    bytes: int
    modified: datetime  # UTC, by the storage's clock

    @property
    def temporary(self) -> bool:
        """Whether it is a write in the making, or what a killed process left of one."""
        return self.path.rsplit("/", 1)[-1].startswith(TEMPORARY)


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in parts that was begun on an object store and not finished."""

    path: str
    id: str
    begun: datetime


class Storage:
    """Files below one root URL, by paths relative to it.

    Missing files raise ``FileNotFoundError``; all else that goes wrong raises ``StorageError``
    with one line that names the file.
    """

    _counter: RequestCounter | None = None  # of an object store

    def __init__(self, url: str, part_bytes: int = PART_BYTES) -> None:
        """Open the root; nothing is created or contacted until the first use."""
        self._part_bytes = part_bytes
        remote = url.startswith(("s3://", "s3a://"))  # where other workers write while we list
        options: dict[str, Any] = {"use_listings_cache": False} if remote else {}
        try:
            fs, root = fsspec.core.url_to_fs(url, **options)
        except (ValueError, ImportError) as error:
            raise UserError(f"{url}: not a storage URL that can be opened ({error})") from None
        self.url = url
        self._fs = fs
        self._local = isinstance(fs, LocalFileSystem)
        self._root = str(Path(root).absolute()) if self._local else root.rstrip("/")
        self._counter = counter_of(fs) if "s3" in fs.protocol else None

    def requests(self) -> dict[str, int]:
        """Requests that this process has sent to the object store; none for other storage."""
        return dict(self._counter.counts()) if self._counter else {}

    @property
    def local_root(self) -> Path | None:
        """The root as a local folder, or None when it is remote."""
        return Path(self._root) if self._local else None

    def full(self, path: str) -> str:
        """The path as the file system spells it.

        Raises:
            StorageError: it leads out of the root, as names from a hostile recipe or manifest may.
        """
        if "\0" in path or path.startswith("/") or ".." in path.split("/"):
            raise StorageError(f"{path!r}: not a path below {self.url}")
        return f"{self._root}/{path}" if path else self._root

    def show(self, path: str) -> str:
        return self.full(path) if self._local else f"{self.url.rstrip('/')}/{path}"

    def read_bytes(self, path: str) -> bytes:
        with self._told(path, "read"):
            return cast(bytes, self._fs.cat_file(self.full(path)))

    def read_json(self, path: str) -> dict[str, Any]:
        """Content of a JSON object file; DamagedRecord if it isn't one."""
        try:
            value = json.loads(self._read_small(path))
        except ValueError as error:
            raise DamagedRecord(f"{self.show(path)}: not valid JSON ({error})") from None
        if not isinstance(value, dict):
            raise DamagedRecord(f"{self.show(path)}: expected a JSON object")
        return value

    def _read_small(self, path: str) -> bytes:
        """Content of a file of one part: s3fs would ask for its size first, a request more."""
        if self._counter is None:
            return self.read_bytes(path)
        with self._told(path, "read"):
            return cast(bytes, self._fs.cat_file(self.full(path), max_concurrency=1))

    def read_many(self, paths: Sequence[str]) -> Iterator[bytes | None]:
        """Whole contents of many small files, in order; None for one that is gone."""
        return self.each(self._read_or_none, paths)

    def read_jsons(self, paths: Sequence[str]) -> Iterator[dict[str, Any] | None]:
        """Contents of many JSON object files, in order; None for one that is gone."""
        return self.each(self._json_or_none, paths)

    def open(self, path: str) -> IO[bytes]:
        """Open for random-access reading; what is read is fetched, nothing ahead of it."""
        ahead = {} if self._local else {"cache_type": "none"}
        with self._told(path, "open"):
            return cast(IO[bytes], self._fs.open(self.full(path), "rb", **ahead))

    def sha256(self, path: str) -> str:
        """Checksum of a file, read in pieces."""
        with self._told(path, "read"), self._fs.open(self.full(path), "rb") as file:
            digest = hashlib.sha256()
            while piece := file.read(1 << 22):
                digest.update(piece)
            return digest.hexdigest()

    def exists(self, path: str) -> bool:
        with self._told(path, "look up"):
            return bool(self._fs.isfile(self.full(path)))

    def list(self, prefix: str) -> list[str]:
        """All files below a folder, recursively, sorted, relative to the root."""
        paths = self._find(prefix, detail=False)
        return sorted(p for p in paths if not p.rsplit("/", 1)[-1].startswith(TEMPORARY))

    def folders(self, prefix: str) -> Sequence[str]:
        """Names of the folders directly below a folder, sorted; one listing, however deep it is."""
        with self._told(prefix, "list"):
            try:
                found = self._fs.ls(self.full(prefix.rstrip("/")), detail=True)
            except FileNotFoundError:
                return []
        names = [str(each["name"]) for each in found if each["type"] == "directory"]
        return sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in names)

    def files(self, prefix: str) -> Sequence[StoredFile]:
        """Like ``list``, with sizes and times, and with files in the making."""
        found = self._find(prefix, detail=True)
        return [
            StoredFile(path, int(info["size"]), _modified(info))
            for path, info in sorted(found.items())
        ]

    def _find(self, prefix: str, *, detail: bool) -> Mapping[str, Mapping[str, Any]]:
        base = self.full(prefix.rstrip("/"))
        if self._local and not detail:
            return self._names(base, prefix)
        with self._told(prefix, "list"):
            try:
                found = self._fs.find(base, detail=detail)
            except FileNotFoundError:
                return {}
        infos: Mapping[str, Mapping[str, Any]] = found if detail else {name: {} for name in found}
        below = f"{self._root}/"
        return {name[len(below) :]: info for name, info in infos.items() if name.startswith(below)}

    def _names(self, base: str, prefix: str) -> Mapping[str, Mapping[str, Any]]:
        """Files of a local folder by name: fsspec would ask for the state of each, at ten times
        the cost.
        """
        below = len(self._root) + 1
        with self._told(prefix, "list"):
            return {
                f"{folder}/{name}"[below:]: {}
                for folder, _, names in os.walk(base, onerror=_unless_gone)
                for name in names
            }

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write or replace a file; readers see the old content or the new, never a part."""
        with self._told(path, "write"):
            if self._local:
                temporary = self._write_temporary(path, data)
                temporary.replace(self.full(path))
                _sync(temporary.parent)
            else:
                self._fs.pipe_file(self.full(path), data)

    def write_json(self, path: str, value: dict[str, Any]) -> None:
        self.write_bytes(path, to_json(value))

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Write a file unless it exists; True when this content is what is there afterwards.

        Atomic among any number of writers. A PUT that timed out but succeeded comes back as a
        conflict with ourselves on retry: hence the comparison, and hence callers put a unique id
        into ``data``.
        """
        with self._told(path, "write"):
            if self._local:
                done = self._link_if_absent(path, data)
            else:
                done = created(self._fs, self.full(path), data)
        return done or self.read_bytes(path) == data

    def upload(self, local: Path, path: str) -> None:
        """Copy a local file in, in parts when large; atomic like ``write_bytes``."""
        with self._told(path, "write"):
            if self._local:
                target = Path(self.full(path))
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary = target.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
                try:
                    self._fs.put_file(str(local), str(temporary))
                    _sync(temporary)
                    temporary.replace(target)
                    _sync(target.parent)
                finally:
                    temporary.unlink(missing_ok=True)
            else:
                parts = {"chunksize": self._part_bytes} if "s3" in self._fs.protocol else {}
                self._fs.put_file(str(local), self.full(path), **parts)

    def download(self, path: str, local: Path) -> None:
        """Copy a file out to a local path, whose folder is created."""
        local.parent.mkdir(parents=True, exist_ok=True)
        with self._told(path, "read"):
            self._fs.get_file(self.full(path), str(local))

    def delete(self, paths: Sequence[str]) -> None:
        """Remove files; ones that are gone already are no error."""
        for _ in self.each(self._delete_one, paths):
            pass

    def _delete_one(self, path: str) -> None:
        with self._told(path, "delete"), suppress(FileNotFoundError):
            self._fs.rm_file(self.full(path))

    def _read_or_none(self, path: str) -> bytes | None:
        try:
            return self.read_bytes(path)
        except FileNotFoundError:
            return None

    def _json_or_none(self, path: str) -> dict[str, Any] | None:
        try:
            return self.read_json(path)
        except FileNotFoundError:
            return None

    def each(self, work: Callable[[str], T], paths: Sequence[str]) -> Iterator[T]:
        """Do something to many files: several at once where each costs a round trip."""
        if self._local or len(paths) < 2:
            yield from map(work, paths)
            return
        with ThreadPoolExecutor(min(AT_ONCE, len(paths))) as pool:
            yield from pool.map(work, paths)

    def uploads(self) -> Sequence[Upload]:
        """Uploads in parts below the root that were never finished; object stores bill them."""
        if "s3" not in self._fs.protocol:
            return []
        bucket, _, root = self._root.partition("/")
        below = f"{root}/" if root else ""
        with self._told("", "list unfinished uploads"):
            found = self._fs.list_multipart_uploads(bucket)
        return [
            Upload(each["Key"].removeprefix(below), each["UploadId"], each["Initiated"])
            for each in found
            if each["Key"].startswith(below)
        ]

    def abort(self, upload: Upload) -> None:
        """Drop the parts of an unfinished upload; one that is gone already is no error."""
        bucket, _, key = self.full(upload.path).partition("/")
        with self._told(upload.path, "abort the upload of"):
            try:
                self._fs.call_s3(
                    "abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload.id
                )
            except FileNotFoundError:
                return

    def _write_temporary(self, path: str, data: bytes) -> Path:
        target = Path(self.full(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def _link_if_absent(self, path: str, data: bytes) -> bool:
        temporary = self._write_temporary(path, data)
        try:
            os.link(temporary, self.full(path))
            _sync(temporary.parent)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        return True

    @contextmanager
    def _told(self, path: str, verb: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno == errno.ENOSPC:
                why = "no space left on the device; free some and run again, nothing is lost"
            elif isinstance(error, PermissionError) and not self._local:
                why = (
                    f"{error}; renew the credentials or their rights and run again, nothing is lost"
                )
            else:
                why = str(error) or type(error).__name__
            raise StorageError(f"{self.show(path)}: can't {verb}: {why}") from error
        except Exception as error:
            if type(error).__module__.startswith(("botocore", "aiobotocore", "aiohttp")):
                raise StorageError(f"{self.show(path)}: can't {verb}: {error}") from error
            raise


def _unless_gone(error: OSError) -> None:
    """A folder that is gone holds no files; any other trouble must not pass for an empty one."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def to_json(value: dict[str, Any]) -> bytes:
    """JSON as the lake writes it: UTF-8, indented for people, keys in the order given."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _modified(info: Mapping[str, Any]) -> datetime:
    """When a file was last written, as each file system spells it."""
    for name in ("mtime", "LastModified", "modified", "created"):
        value = info.get(name)
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
    return datetime.now(UTC)  # unknown: as young as can be, so that nobody takes it for old


def _sync(path: Path) -> None:
    """Make a file's content, or a folder's names, outlast a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
