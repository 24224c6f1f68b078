"""What a run looks like from outside, read from the lake alone."""

from parrot_core.monitor.reader import LakeState, RunReader, Storage, list_runs, read_run
from parrot_core.monitor.state import (
    EngineUsage,
    RunHeader,
    RunState,
    ShardFailure,
    ShardState,
    StageSpec,
    StageState,
)

__all__ = [
    "EngineUsage",
    "LakeState",
    "RunHeader",
    "RunReader",
    "RunState",
    "ShardFailure",
    "ShardState",
    "StageSpec",
    "StageState",
    "Storage",
    "list_runs",
    "read_run",
]
