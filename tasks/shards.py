"""Prefect tasks that work through the shards of a stage; a shard is what is retried."""

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Cancelled, Completed

from parrot_core.errors import LeaseLost, RunStopped, ShardHeld
from parrot_core.execution.attempt import NOT_RETRIED
from parrot_core.execution.shard_queue import Pulled
from parrot_core.execution.stage_worker import OpenStage


class ShardTicket:
    """One shard of an opened stage. Opaque to Prefect, which would walk through a dataclass."""

    def __init__(self, opened: OpenStage, pulled: Pulled) -> None:
        """Nothing happens until :func:`process_shard` runs."""
        self.opened = opened
        self.pulled = pulled


def worth_retrying(task: Any, run: TaskRun, state: State[Any]) -> bool:
    """Not when the user must mend something first, or the run has to stop."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, NOT_RETRIED)


# NO_CACHE: the lake knows which shards are done, and checks that their files are there.
@task(
    name="process-shard",
    task_run_name="{label}",
    cache_policy=NO_CACHE,
    retry_delay_seconds=5,
    retry_jitter_factor=0.5,
    retry_condition_fn=worth_retrying,
)
def process_shard(label: str, ticket: ShardTicket) -> dict[str, int] | State[Any]:
    """Do one shard; returns its accounts: rows in, out and rejected."""
    pulled = ticket.pulled
    try:
        accounting = ticket.opened.run_shard(pulled.shard, pulled.watched, wait=False).accounting
    except (ShardHeld, LeaseLost) as error:
        return Completed(name="PassedOver", message=str(error))
    except RunStopped as error:
        return Cancelled(message=str(error))
    return {
        "rows_in": accounting.rows_in,
        "rows_out": accounting.rows_out,
        "rows_rejected": accounting.rows_rejected,
    }
