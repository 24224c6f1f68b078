"""The newest rows and rejects of a running shard, readable before the shard is published.

They are for eyes only: a file beside the shard's progress, rewritten every few seconds while
rows come, and gone when the attempt ends.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parrot_core.lake.storage import Storage

KEPT = 4
"""Rows and rejects of a shard that are shown."""

EVERY_S = 3.0
LONGEST = 20_000
"""Characters of a row as JSON; the texts of a longer one are cut."""

CUT_TO = 1_500

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TailRow:
    """One row, as the shard made it."""

    shard: int
    row: Row
    rejected: bool


class LiveTail:
    """The tail of one attempt. Rows come from the work, writes from the thread of its progress."""

    def __init__(
        self, storage: Storage, shard_folder: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Empty; nothing is written before the first row."""
        self._storage = storage
        self._path = f"{shard_folder}/tail.json"
        self._clock = clock
        self._rows: deque[Row] = deque(maxlen=KEPT)
        self._rejects: deque[Row] = deque(maxlen=KEPT)
        self._changed = False
        self._written = False
        self._next = 0.0

    def row(self, row: Row) -> None:
        self._rows.append(row)
        self._changed = True

    def reject(self, row: Row) -> None:
        self._rejects.append(row)
        self._changed = True

    def write(self) -> None:
        """Write what is new, not more often than every few seconds."""
        if not self._changed or self._clock() < self._next:
            return
        self._changed = False
        self._next = self._clock() + EVERY_S
        tail = {"rows": list(map(_cut, self._rows)), "rejects": list(map(_cut, self._rejects))}
        self._storage.write_bytes(self._path, json.dumps(tail, default=str).encode())
        self._written = True

    def remove(self) -> None:
        """The attempt has ended: what it made is in its version, or will be made again."""
        if self._written:
            self._storage.delete([self._path])


def read_tails(storage: Storage, run: str, stage: str, shards: Sequence[int]) -> list[TailRow]:
    """The newest rows of some shards in work, each shard's newest first."""
    folder = f"runs/{run}/{stage}/shards"
    paths = [f"{folder}/{shard:05d}/tail.json" for shard in shards]
    found: list[TailRow] = []
    for shard, data in zip(shards, storage.read_jsons(paths), strict=True):
        for name in ("rows", "rejects"):
            rows = (data or {}).get(name)
            for row in reversed(rows if isinstance(rows, list) else []):
                if isinstance(row, dict):
                    found.append(TailRow(shard, row, name == "rejects"))
    return found


def _cut(row: Row) -> Row:
    """The row, its texts cut where it is too long to be read anyway."""
    if len(json.dumps(row, default=str)) <= LONGEST:
        return row
    cut: Row = json.loads(json.dumps(row, default=str), object_hook=_shortened)
    return cut


def _shortened(part: dict[str, Any]) -> dict[str, Any]:
    return {
        name: f"{value[:CUT_TO]} …" if isinstance(value, str) and len(value) > CUT_TO else value
        for name, value in part.items()
    }
