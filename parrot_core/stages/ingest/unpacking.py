"""Compressed files to bytes: recognised by their first bytes, read up to where they break off."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from typing import IO

import zstandard

from parrot_core.stages.ingest.parsing import DamageError

CHUNK_BYTES = 1 << 20
_ZSTD_INPUT_BYTES = 8 << 10  # what a damaged place costs beside itself is bounded by this
_ZSTD_WINDOW_BYTES = 128 << 20
_BOMB_RATIO = 1000
_BOMB_BYTES = 1 << 30


def unpacked(raw: IO[bytes], head: bytes) -> Iterator[bytes]:
    """The bytes of a file that begins with ``head``, unpacked if it is gzip, zstd, bzip2 or xz.

    Raises:
        DamageError: the compressed stream breaks off, or grows beyond all measure; what came before
            has been yielded.
    """
    chunks = _unpacked(raw, head)
    return iter(lambda: raw.read(CHUNK_BYTES), b"") if chunks is None else _no_bomb(chunks, raw)


def _no_bomb(chunks: Iterator[bytes], raw: IO[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > _BOMB_BYTES and size > _BOMB_RATIO * raw.tell():
            raise DamageError(
                f"more than {_BOMB_RATIO:,} times its size when unpacked, so no data of people"
            )
        yield chunk


def _unpacked(raw: IO[bytes], magic: bytes) -> Iterator[bytes] | None:
    if magic.startswith(b"\x1f\x8b"):
        return _streamed(gzip.GzipFile(fileobj=raw, mode="rb"))
    if magic.startswith(b"BZh"):
        return _streamed(bz2.BZ2File(raw))
    if magic.startswith(b"\xfd7zXZ\x00"):
        return _streamed(lzma.LZMAFile(raw))
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstd(raw)
    return None


def _streamed(packed: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile) -> Iterator[bytes]:
    try:
        # read1, since read would lose what it has gathered when the stream breaks off
        while chunk := packed.read1(CHUNK_BYTES):
            yield chunk
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise _broken_off(error) from None
    except OSError as error:  # bz2's word for damage, and storage's for trouble
        if error.errno is not None:
            raise
        raise _broken_off(error) from None


def _zstd(raw: IO[bytes]) -> Iterator[bytes]:
    """A zstd file of one frame or several, as parallel compressors write them."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    frame = decompressor.decompressobj()
    unfinished = False
    ready = bytearray()
    damage = ""
    while not damage and (packed := raw.read(_ZSTD_INPUT_BYTES)):
        while packed and not damage:
            try:
                ready += frame.decompress(packed)
            except zstandard.ZstdError as error:
                damage = str(error)
            packed, unfinished = frame.unused_data, not frame.eof
            if frame.eof:
                frame = decompressor.decompressobj()
        if len(ready) >= CHUNK_BYTES:
            yield bytes(ready)
            ready.clear()
    yield bytes(ready)
    if damage or unfinished:
        raise _broken_off(damage or "it ends within a frame")


def _broken_off(why: object) -> DamageError:
    return DamageError(f"the compressed file is cut off or damaged ({why})")
