"""Failed shards grouped by what went wrong, in the provider's own words; the largest first."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from parrot_core.lake.attempts import AttemptFailure
from parrot_core.monitor.shard_state import ShardState
from parrot_core.monitor.state import StageState

_VARIES = re.compile(r"\b[0-9a-f]{8,}\b|\d+", re.IGNORECASE)
"""What differs between messages of one cause: numbers, and hashes."""


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Shards of one stage whose last attempt ended in the same way.

    A stage that ended as a whole, before it had shards even, is a group without any.
    """

    stage: str
    error_type: str
    message: str  # of the latest one
    shards: tuple[int, ...]
    quarantined: tuple[int, ...]  # of these
    last_at: datetime | None

    @property
    def text(self) -> str:
        return f"{self.error_type}: {self.message}"

    @property
    def cause(self) -> tuple[str, str, str]:
        """What makes it this group, whatever number a message holds."""
        return (self.stage, self.error_type, _alike(self.message))


def failure_groups(stages: Iterable[StageState]) -> tuple[FailureGroup, ...]:
    found: list[FailureGroup] = []
    for stage in stages:
        alike: defaultdict[tuple[str, str], list[tuple[ShardState, AttemptFailure]]] = defaultdict(
            list
        )
        for shard in stage.having("failed"):
            if (error := shard.last_error) is not None:
                alike[error.error_type, _alike(error.message)].append((shard, error))
        if stage.failure is not None and not stage.failed:
            end = stage.failure
            found.append(
                FailureGroup(stage.name, end.error_type, end.message, (), (), end.ended_at)
            )
        found += [_group(stage.name, members) for members in alike.values()]
    return tuple(sorted(found, key=lambda group: -len(group.shards)))


def _alike(message: str) -> str:
    return _VARIES.sub("#", message[:2000])


def _group(stage: str, members: list[tuple[ShardState, AttemptFailure]]) -> FailureGroup:
    oldest = datetime.min.replace(tzinfo=UTC)
    _, latest = max(members, key=lambda member: member[1].ended_at or oldest)
    return FailureGroup(
        stage,
        latest.error_type,
        latest.message,
        tuple(shard.index for shard, _ in members),
        tuple(shard.index for shard, _ in members if shard.quarantined),
        latest.ended_at,
    )
