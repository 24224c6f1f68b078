"""What a run looks like from outside, read from the lake alone."""

from parrot_core.monitor.reader import RunReader, list_runs, read_run
from parrot_core.monitor.shard_state import ShardState, StageWorker
from parrot_core.monitor.state import (
    RunHeader,
    RunState,
    StageSpec,
    StageState,
)

__all__ = [
    "RunHeader",
    "RunReader",
    "RunState",
    "ShardState",
    "StageSpec",
    "StageState",
    "StageWorker",
    "list_runs",
    "read_run",
]
