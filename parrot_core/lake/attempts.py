"""What the lake keeps of an attempt at a shard: how far it is, and what ended it."""

from pydantic import AwareDatetime, Field

from parrot_core.lake.manifest import Usage
from parrot_core.lake.records import Record
from parrot_core.telemetry.traffic import Traffic


class ShardProgress(Record):
    """How far the latest attempt is; rewritten every few seconds while it works.

    ``done`` and ``total`` count what the stage reports as progress: sessions, optimiser steps.
    """

    worker: str
    attempt: str
    epoch: int  # of its lease
    started_at: AwareDatetime
    updated_at: AwareDatetime
    advanced_at: AwareDatetime | None = None  # when a unit was last done
    done: int = 0
    total: int | None = None
    figures: dict[str, float] = Field(default_factory=dict)
    rejected: dict[str, int] = Field(default_factory=dict)
    usage: Usage = Field(default_factory=dict)
    traffic: dict[str, Traffic] = Field(default_factory=dict)  # of all attempts, by engine
    timeline: dict[str, list[float]] = Field(default_factory=dict)
    curve: dict[str, list[float | None]] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    waiting: dict[str, str] = Field(default_factory=dict)  # engine: what it waits for
    paused: dict[str, str] = Field(default_factory=dict)  # engine: why it stands still


class AttemptFailure(Record):
    """What ended an attempt at a shard, or a whole stage before its shards could tell."""

    attempt: int = 1
    error_type: str
    message: str
    traceback: str = ""
    worker: str
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime
    progress: int = 0  # what the attempts so far have left to the next one
    counts: bool = True  # against the shard, unless it got further or is not at fault
