"""The one module that touches storage: atomic writes, put-if-absent, listing, on any fsspec URL."""

import errno
import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from parrot_core.errors import StorageError, UserError

TEMPORARY = ".tmp-"
"""Prefix of files in the making on local disks; never listed."""


class Storage:
    """Files below one root URL, by paths relative to it.

    Missing files raise ``FileNotFoundError``; all else that goes wrong raises ``StorageError``
    with one line that names the file.
    """

    def __init__(self, url: str) -> None:
        """Open the root; nothing is created or contacted until the first use."""
        options: dict[str, Any] = {}
        if url.startswith(("s3://", "s3a://")):
            options["use_listings_cache"] = False  # other workers write while we list
        try:
            fs, root = fsspec.core.url_to_fs(url, **options)
        except (ValueError, ImportError) as error:
            raise UserError(f"{url}: not a storage URL that can be opened ({error})") from None
        self.url = url
        self._fs = fs
        self._local = isinstance(fs, LocalFileSystem)
        self._root = str(Path(root).absolute()) if self._local else root.rstrip("/")

    @property
    def local_root(self) -> Path | None:
        """The root as a local folder, or None when it is remote."""
        return Path(self._root) if self._local else None

    def full(self, path: str) -> str:
        """The path as the file system spells it."""
        return f"{self._root}/{path}" if path else self._root

    def show(self, path: str) -> str:
        """The path as a person would write it."""
        return self.full(path) if self._local else f"{self.url.rstrip('/')}/{path}"

    def read_bytes(self, path: str) -> bytes:
        """Whole content of a file."""
        with self._told(path, "read"):
            return cast(bytes, self._fs.cat_file(self.full(path)))

    def read_json(self, path: str) -> dict[str, Any]:
        """Content of a JSON object file; StorageError if it isn't one."""
        try:
            value = json.loads(self.read_bytes(path))
        except ValueError as error:
            raise StorageError(f"{self.show(path)}: not valid JSON ({error})") from None
        if not isinstance(value, dict):
            raise StorageError(f"{self.show(path)}: expected a JSON object")
        return value

    def open(self, path: str) -> IO[bytes]:
        """Open for random-access reading."""
        with self._told(path, "open"):
            return cast(IO[bytes], self._fs.open(self.full(path), "rb"))

    def sha256(self, path: str) -> str:
        """Checksum of a file, read in pieces."""
        with self._told(path, "read"), self._fs.open(self.full(path), "rb") as file:
            digest = hashlib.sha256()
            while piece := file.read(1 << 22):
                digest.update(piece)
            return digest.hexdigest()

    def exists(self, path: str) -> bool:
        """Whether a file is there."""
        with self._told(path, "look up"):
            return bool(self._fs.isfile(self.full(path)))

    def list(self, prefix: str) -> list[str]:
        """All files below a folder, recursively, sorted, relative to the root."""
        base = self.full(prefix.rstrip("/"))
        with self._told(prefix, "list"):
            try:
                found = self._fs.find(base)
            except FileNotFoundError:
                return []
        skip = len(self._root) + 1
        paths = [name[skip:] for name in found if name.startswith(self._root + "/")]
        return sorted(p for p in paths if not p.rsplit("/", 1)[-1].startswith(TEMPORARY))

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write or replace a file; readers see the old content or the new, never a part."""
        with self._told(path, "write"):
            if self._local:
                temporary = self._write_temporary(path, data)
                temporary.replace(self.full(path))
            else:
                self._fs.pipe_file(self.full(path), data)

    def write_json(self, path: str, value: dict[str, Any]) -> None:
        """Write or replace a JSON file."""
        self.write_bytes(path, to_json(value))

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Write a file unless it exists; True when this content is what is there afterwards.

        Atomic among any number of writers. A PUT that timed out but succeeded comes back as a
        conflict with ourselves on retry: hence the comparison, and hence callers put a unique id
        into ``data``.
        """
        with self._told(path, "write"):
            if self._local:
                created = self._link_if_absent(path, data)
            else:
                created = self._create_remote(path, data)
        return created or self.read_bytes(path) == data

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
                finally:
                    temporary.unlink(missing_ok=True)
            else:
                self._fs.put_file(str(local), self.full(path))

    def download(self, path: str, local: Path) -> None:
        """Copy a file out to a local path, whose folder is created."""
        local.parent.mkdir(parents=True, exist_ok=True)
        with self._told(path, "read"):
            self._fs.get_file(self.full(path), str(local))

    def delete(self, paths: Sequence[str]) -> None:
        """Remove files; ones that are gone already are no error."""
        for path in paths:
            with self._told(path, "delete"):
                try:
                    self._fs.rm_file(self.full(path))
                except FileNotFoundError:
                    continue

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
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def _create_remote(self, path: str, data: bytes) -> bool:
        try:
            self._fs.pipe_file(self.full(path), data, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            if _precondition_failed(error):
                return False
            raise
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
            else:
                why = str(error) or type(error).__name__
            raise StorageError(f"{self.show(path)}: can't {verb}: {why}") from error
        except Exception as error:
            if type(error).__module__.startswith(("botocore", "aiobotocore", "aiohttp")):
                raise StorageError(f"{self.show(path)}: can't {verb}: {error}") from error
            raise


def to_json(value: dict[str, Any]) -> bytes:
    """JSON as the lake writes it: UTF-8, indented for people, keys in the order given."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _precondition_failed(error: OSError) -> bool:
    """Whether S3 said 412 or 409; some servers reach us as EINVAL with the answer as cause."""
    response = getattr(error.__cause__, "response", None)
    if not isinstance(response, dict):
        return False
    return response.get("ResponseMetadata", {}).get("HTTPStatusCode") in (409, 412)
