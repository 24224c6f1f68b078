"""The manifest: what a version is made of, where it came from and that its accounts close."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from parrot_core.errors import AccountingError
from parrot_core.lake.records import Record
from parrot_core.telemetry.traffic import Traffic


class FileEntry(Record):
    """One immutable file of a version; ``path`` is relative to the version's folder."""

    path: str
    rows: int
    bytes: int
    sha256: str


class EngineUsage(Record):
    """What one engine was asked for, and what it cost. Replayed completions count once."""

    model: str = ""
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "EngineUsage") -> "EngineUsage":
        """The sum, under this one's model."""
        return EngineUsage(
            model=self.model or other.model,
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            usd=self.usd + other.usd,
        )


Usage = dict[str, EngineUsage]


def add_usage(parts: Iterable[Mapping[str, EngineUsage]]) -> Usage:
    total: Usage = {}
    for part in parts:
        for engine, used in part.items():
            total[engine] = total.get(engine, EngineUsage()) + used
    return total


class Accounting(Record):
    """Units taken in and where each ended; ``source_rows`` are the input rows they came from."""

    unit: str
    source_rows: int = 0
    rows_in: int = 0
    rows_out: int = 0
    rejected: dict[str, int] = Field(default_factory=dict)

    @property
    def rows_rejected(self) -> int:
        return sum(self.rejected.values())

    def close(self, place: str) -> None:
        """Raise AccountingError unless rows in = rows out + rejects."""
        if self.rows_in != self.rows_out + self.rows_rejected:
            raise AccountingError(place, self.rows_in, self.rows_out, self.rows_rejected)

    def plus(self, other: "Accounting") -> "Accounting":
        reasons = self.rejected.keys() | other.rejected.keys()
        return Accounting(
            unit=self.unit,
            source_rows=self.source_rows + other.source_rows,
            rows_in=self.rows_in + other.rows_in,
            rows_out=self.rows_out + other.rows_out,
            rejected={
                r: self.rejected.get(r, 0) + other.rejected.get(r, 0) for r in sorted(reasons)
            },
        )


class Receipt(Record):
    """What one shard produced; written once, by the worker whose lease was the current one."""

    shard: int
    attempt: str
    epoch: int  # of the lease that the attempt held, see lake/leases.py
    accounting: Accounting
    files: tuple[FileEntry, ...] = ()
    reject_files: tuple[FileEntry, ...] = ()
    usage: Usage = Field(default_factory=dict)
    traffic: dict[str, Traffic] = Field(default_factory=dict)  # of all attempts, by engine
    metrics: dict[str, Any] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    worker: str
    started_at: str
    ended_at: str


class Fingerprint(Record):
    """What decided the content: SHA-256 of the canonical recipe, and the code's version."""

    recipe: str
    code: str


class Manifest(Record):
    """A version of a dataset or a model; written last, so that readers see all of it or none."""

    format: Literal[1] = 1
    kind: Literal["dataset", "model"]
    name: str
    version: str
    schema_version: int | None = None  # of the dataset's Arrow schema; null for models
    commit_id: str
    created_at: str
    stage: str
    run: str
    inputs: dict[str, str]
    recipe: dict[str, Any]
    fingerprint: Fingerprint
    files: tuple[FileEntry, ...]
    reject_files: tuple[FileEntry, ...] = ()
    accounting: Accounting
    usage: Usage = Field(default_factory=dict)
    seconds: float
    metrics: dict[str, Any] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def usd(self) -> float:
        """What the version cost at the recipe's prices."""
        return sum(used.usd for used in self.usage.values())
