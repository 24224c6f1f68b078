"""The shard is the unit of work and of retry."""

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from parrot_core.engines.types import RunError
from parrot_core.errors import LeaseLost, ShardHeld, ShardQuarantined, UserError
from parrot_core.execution.runner import OpenStage
from parrot_core.stages.base import ShardPlan


class ShardTicket:
    """One shard of an opened stage. Opaque to Prefect, which would walk through a dataclass."""

    def __init__(self, opened: OpenStage, shard: ShardPlan) -> None:
        """Nothing happens until :func:`process_shard` runs."""
        self.opened = opened
        self.shard = shard


def worth_retrying(task: Any, run: TaskRun, state: State[Any]) -> bool:
    """Not when the user must mend something first, the run has to stop, or another is at it."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, RunError | UserError | ShardHeld | LeaseLost | ShardQuarantined)


# NO_CACHE: the lake knows which shards are done, and checks that their files are there.
@task(
    name="process-shard",
    task_run_name="{label}",
    cache_policy=NO_CACHE,
    retry_delay_seconds=5,
    retry_jitter_factor=0.5,
    retry_condition_fn=worth_retrying,
)
def process_shard(label: str, ticket: ShardTicket) -> dict[str, int]:
    """Do one shard; returns its accounts: rows in, out and rejected."""
    accounting = ticket.opened.run_shard(ticket.shard).accounting
    return {
        "rows_in": accounting.rows_in,
        "rows_out": accounting.rows_out,
        "rows_rejected": accounting.rows_rejected,
    }
