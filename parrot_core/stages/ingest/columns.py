"""Columns of numbers in a local file, to be sorted when there are more than memory should hold."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parrot_core.stages.ingest.scratch_file import ScratchFile

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]
"""Places of rows, the first being 0."""

_BYTES = 8
_ROWS_A_BLOCK = 1 << 13
_AT_ONCE = 1 << 18
_SAMPLED = 64


class Columns(ScratchFile):
    """Rows of unsigned 64-bit numbers, appended, then read by column.

    They lie in blocks, each column of a block in one piece.
    """

    def __init__(
        self, folder: Path, width: int, at_once: int = _AT_ONCE, rows_a_block: int = _ROWS_A_BLOCK
    ) -> None:
        """Make the file in ``folder``, which need not exist.

        Args:
            at_once: about so many numbers are sorted at once; those that are equal are never apart.
            rows_a_block: so many rows wait in memory until they are written.
        """
        super().__init__(folder)
        self._width = width
        self._at_once = at_once
        self._rows_a_block = rows_a_block
        self._waiting: list[bytes] = []
        self._written = 0

    def __len__(self) -> int:
        return self._written + len(self._waiting)

    def append(self, row: bytes) -> None:
        """Add a row: ``width`` numbers in the machine's order of bytes."""
        self._waiting.append(row)
        if len(self._waiting) == self._rows_a_block:
            self.write(self._block())
            self._written += len(self._waiting)
            self._waiting = []

    def at(self, column: int, place: int) -> int:
        block, row = divmod(place, self._rows_a_block)
        if place >= self._written:
            value = self._waiting[row][column * _BYTES : (column + 1) * _BYTES]
        else:
            start = (block * self._width + column) * self._rows_a_block + row
            value = self.read(start * _BYTES, _BYTES)
        return int.from_bytes(value, sys.byteorder)

    def ascending(self, column: int, least: int = 0) -> Iterator[tuple[Hashes, Places]]:
        """Yield a column's numbers from ``least`` on in ascending order, with their places.

        A range at a time. Equal numbers come in the order of their places, and in one range.
        """
        for low, high in self._ranges(column, least):
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
        for numbers, places in self.ascending(column, least=1):
            starts = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])
            lengths = np.diff(np.r_[starts, numbers.size])
            for run in np.flatnonzero(lengths > 1):
                yield places[starts[run] : starts[run] + lengths[run]]

    def _ranges(self, column: int, least: int) -> Iterator[tuple[np.uint64, np.uint64]]:
        """Lowest and highest number of ranges that hold about as many numbers each."""
        if not len(self):
            return
        sample = np.sort(np.concatenate([block[::_SAMPLED] for _, block in self._blocks(column)]))
        pieces = -(-len(self) // self._at_once)
        inner = sample[np.arange(1, pieces) * sample.size // pieces]
        first = np.uint64(least)
        bounds = np.unique(np.r_[first, inner[inner > first]])
        yield from zip(bounds, np.r_[bounds[1:] - np.uint64(1), ~np.uint64(0)], strict=True)

    def _blocks(self, column: int) -> Iterator[tuple[int, Hashes]]:
        """Yield a column block by block, with the place of each one's first number."""
        size = self._rows_a_block * _BYTES
        for start in range(0, self._written, self._rows_a_block):
            offset = (start * self._width + column * self._rows_a_block) * _BYTES
            yield start, np.frombuffer(self.read(offset, size), np.uint64)
        if self._waiting:
            rows = np.frombuffer(b"".join(self._waiting), np.uint64)
            yield self._written, rows[column :: self._width]

    def _block(self) -> bytes:
        rows = np.frombuffer(b"".join(self._waiting), np.uint64)
        return rows.reshape(-1, self._width).T.tobytes()
