"""The files in a zip or tar archive, one after the other, as they stream by."""

import errno
import io
import lzma
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import IO, cast

from parrot_core.stages.ingest.parsing import DamageError
from parrot_core.stages.ingest.passing_over import passed_over

_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError)
_TAR_SIGN, _TAR_PLACE = b"ustar", 257
_MOST_MEMBERS = 1_000_000
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive. Its stream is readable until the next member is taken."""

    name: str
    stream: IO[bytes] | None
    problem: str = ""  # why there is no stream


class ChunkStream(io.RawIOBase):
    """Chunks of bytes as a file to be read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        """See ``io.RawIOBase``."""
        if not self._rest:
            self._rest = next((chunk for chunk in self._chunks if chunk), b"")
        view = memoryview(cast(bytearray, buffer)).cast("B")
        size = min(len(view), len(self._rest))
        view[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        self._read += size
        return size

    def tell(self) -> int:
        return self._read


def as_stream(chunks: Iterator[bytes]) -> IO[bytes]:
    return io.BufferedReader(ChunkStream(chunks), 1 << 20)


def is_zip(head: bytes) -> bool:
    """Whether a file that begins so is a zip archive."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def is_tar(head: bytes) -> bool:
    """Whether a file that begins so is a tar archive."""
    return head[_TAR_PLACE : _TAR_PLACE + len(_TAR_SIGN)] == _TAR_SIGN


def zip_members(raw: IO[bytes], passed: Counter[str]) -> Iterator[Member]:
    """Yield the data files of a zip archive; others are counted by what they are.

    Raises:
        DamageError: the archive's index can't be read.
    """
    try:
        archive = zipfile.ZipFile(raw)
    except (*_DAMAGE, NotImplementedError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # storage, not the file
        raise DamageError(f"a zip archive that is cut off or damaged ({error})") from None
    with archive:
        for info in archive.infolist()[:_MOST_MEMBERS]:
            if info.is_dir():
                continue
            if (kind := passed_over(info.filename, info.file_size)) is not None:
                passed[kind] += 1
            elif info.flag_bits & _ENCRYPTED:
                yield Member(info.filename, None, "it is encrypted; unpack it with its password")
            else:
                try:
                    stream = archive.open(info)
                except (NotImplementedError, RuntimeError, ValueError, *_DAMAGE) as error:
                    yield Member(info.filename, None, f"it can't be unpacked ({error})")
                    continue
                with stream:
                    yield Member(info.filename, as_stream(_read(stream)))


def tar_members(chunks: Iterator[bytes], passed: Counter[str]) -> Iterator[Member]:
    """Yield the data files of a tar archive, unpacked already if it was compressed.

    Raises:
        DamageError: the archive breaks off; the files before have been yielded.
    """
    try:
        with tarfile.open(fileobj=as_stream(chunks), mode="r|") as archive:
            for info in archive:
                archive.members.clear()  # type: ignore[attr-defined]  # else it grows
                if not info.isfile():
                    passed["link"] += not info.isdir()
                elif (kind := passed_over(info.name.removeprefix("./"), info.size)) is not None:
                    passed[kind] += 1
                elif (stream := archive.extractfile(info)) is not None:
                    name = info.name.removeprefix("./")
                    yield Member(name, as_stream(_read(stream)))
    except (*_DAMAGE, ValueError) as error:
        raise DamageError(f"a tar archive that is cut off or damaged ({error})") from None


def _read(stream: IO[bytes]) -> Iterator[bytes]:
    try:
        while chunk := stream.read(1 << 20):
            yield chunk
    except (*_DAMAGE, ValueError) as error:
        raise DamageError(f"cut off or damaged in its archive ({error})") from None


def put_back(head: bytes, stream: IO[bytes]) -> IO[bytes]:
    """A stream from its beginning again, after its head was read."""
    rest = iter(lambda: stream.read(1 << 20), b"")
    return as_stream(chain([head], rest))
