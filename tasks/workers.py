"""A worker on another machine, as Prefect shows it: a task that is running as long as it is."""

from concurrent.futures import Future
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed

from parrot_core.errors import RunStopped


class Followed:
    """What comes of a worker. Opaque to Prefect, which would walk through a dataclass."""

    def __init__(self) -> None:
        self.end: Future[str] = Future()


@task(name="worker", task_run_name="{label}", cache_policy=NO_CACHE)
def follow_worker(label: str, worker: Followed) -> State[Any]:
    """Wait for a worker to end, and end as it does."""
    try:
        return Completed(message=worker.end.result())
    except RunStopped as stopped:
        return Cancelled(message=str(stopped))
