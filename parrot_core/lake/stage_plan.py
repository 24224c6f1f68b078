"""The plan of a stage: its inputs' versions and its shards, decided once and kept in the lake."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from parrot_core.lake.records import Record


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows ``start`` to ``start + rows`` of one Parquet file of a published version."""

    dataset: str
    version: str
    file: int  # position in the manifest's list of files
    start: int
    rows: int

    def __post_init__(self) -> None:
        if self.file < 0 or self.start < 0 or self.rows < 0:
            raise ValueError(f"a slice counts from zero: {self}")


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """What one shard will read; decided once, before anything runs, and kept in the lake."""

    index: int
    inputs: tuple[Slice, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)  # JSON, the stage's own

    @property
    def rows(self) -> int:
        return sum(piece.rows for piece in self.inputs)


class StagePlan(Record):
    """What a stage will do. Immutable once stored."""

    stage: str
    output: str
    kind: str
    unit: str
    inputs: dict[str, str]
    shards: tuple[ShardPlan, ...]
    created_at: str
