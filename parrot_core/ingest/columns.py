"""Columns of numbers in a local file, to be sorted when there are more than memory should hold."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]
"""Places of rows, the first being 0."""

_BYTES = 8
_ROWS_A_BLOCK = 1 << 13
_AT_ONCE = 1 << 18
_SAMPLED = 64


class Columns:
    """Rows of unsigned 64-bit numbers, appended, then read by column.

    They lie in blocks, each column of a block in one piece. The file is gone when this is closed.
    """

    def __init__(
        self, folder: Path, width: int, at_once: int = _AT_ONCE, rows_a_block: int = _ROWS_A_BLOCK
    ) -> None:
        """Make the file in ``folder``, which need not exist.

        Args:
            folder: a local one.
            width: numbers in a row.
            at_once: about so many numbers are sorted at once; those that are equal are never apart.
            rows_a_block: so many rows wait in memory until they are written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed by __exit__
        self._width = width
        self._at_once = at_once
        self._rows_a_block = rows_a_block
        self._waiting: list[bytes] = []
        self._written = 0

    def __enter__(self) -> "Columns":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._written + len(self._waiting)

    def append(self, row: bytes) -> None:
        """Add a row: ``width`` numbers in the machine's order of bytes."""
        self._waiting.append(row)
        if len(self._waiting) == self._rows_a_block:
            self._file.write(self._block())
            self._file.flush()  # it is read by its descriptor
            self._written += len(self._waiting)
            self._waiting = []

    def at(self, column: int, place: int) -> int:
        """One number."""
        block, row = divmod(place, self._rows_a_block)
        if place >= self._written:
            value = self._waiting[row][column * _BYTES : (column + 1) * _BYTES]
        else:
            start = (block * self._width + column) * self._rows_a_block + row
            value = os.pread(self._file.fileno(), _BYTES, start * _BYTES)
        return int.from_bytes(value, sys.byteorder)

    def ascending(self, column: int) -> Iterator[tuple[Hashes, Places]]:
        """Yield a column's numbers in ascending order, with their places, a range at a time.

        Equal numbers come in the order of their places, and in one range.
        """
        for low, high in self._ranges(column):
            numbers: list[Hashes] = []
            places: list[Places] = []
            for start, block in self._blocks(column):
                within = np.flatnonzero((block >= low) & (block <= high))
                numbers.append(block[within])
                places.append(within + start)
            found = np.concatenate(numbers)
            order = np.argsort(found, kind="stable")
            if order.size:
                yield found[order], np.concatenate(places)[order]

    def alike(self, column: int) -> Iterator[Places]:
        """Yield the places that hold one number, ascending, for each that is there more than once.

        Zero stands for nothing, and is like nothing.
        """
        for numbers, places in self.ascending(column):
            starts = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])
            lengths = np.diff(np.r_[starts, numbers.size])
            for run in np.flatnonzero((lengths > 1) & (numbers[starts] != 0)):
                yield places[starts[run] : starts[run] + lengths[run]]

    def _ranges(self, column: int) -> Iterator[tuple[np.uint64, np.uint64]]:
        """Lowest and highest number of ranges that hold about as many numbers each."""
        if not len(self):
            return
        sample = np.sort(np.concatenate([block[::_SAMPLED] for _, block in self._blocks(column)]))
        pieces = -(-len(self) // self._at_once)
        inner = sample[np.arange(1, pieces) * sample.size // pieces]
        bounds = np.unique(np.r_[np.uint64(0), inner])
        yield from zip(bounds, np.r_[bounds[1:] - np.uint64(1), ~np.uint64(0)], strict=True)

    def _blocks(self, column: int) -> Iterator[tuple[int, Hashes]]:
        """Yield a column block by block, with the place of each one's first number."""
        size = self._rows_a_block * _BYTES
        for start in range(0, self._written, self._rows_a_block):
            offset = (start * self._width + column * self._rows_a_block) * _BYTES
            yield start, np.frombuffer(os.pread(self._file.fileno(), size, offset), np.uint64)
        if self._waiting:
            rows = np.frombuffer(b"".join(self._waiting), np.uint64)
            yield self._written, rows[column :: self._width]

    def _block(self) -> bytes:
        rows = np.frombuffer(b"".join(self._waiting), np.uint64)
        return rows.reshape(-1, self._width).T.tobytes()
