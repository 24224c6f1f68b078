"""What a run looks like from outside, read from the lake alone."""

from parrot_core.monitor.reader import LakeState, ReadableStorage, RunReader, list_runs, read_run
from parrot_core.monitor.state import (
    EngineTotals,
    RunHeader,
    RunState,
    ShardFailure,
    ShardState,
    StageSpec,
    StageState,
)

__all__ = [
    "EngineTotals",
    "LakeState",
    "ReadableStorage",
    "RunHeader",
    "RunReader",
    "RunState",
    "ShardFailure",
    "ShardState",
    "StageSpec",
    "StageState",
    "list_runs",
    "read_run",
]
