"""Marks flow runs as crashed whose process died; nothing else does for ``parrot run``.

Each run that a command starts carries a tag that names its process. The next command on that
machine looks its processes up and marks the runs of those that are gone as crashed.
"""

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Crashed

from parrot_core.lake.holder import Holder, this_process

PREFIX = "process:"
PAGE = 200
MESSAGE = "its process is gone; the same command goes on where it stopped"


def process_tag() -> str:
    us = this_process()
    return f"{PREFIX}{us.boot}|{us.pids}|{us.pid}|{us.started}"


def mark_lost() -> int:
    """Mark the running flow runs of processes of this machine that are gone; returns how many."""
    running = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING]))
    )
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=running, limit=PAGE)
        lost = [each for each in found if _is_lost(each)]
        for each in lost:
            _mark(client, each)
    return len(lost)


def _is_lost(flow_run: FlowRun) -> bool:
    tags = [tag.removeprefix(PREFIX) for tag in flow_run.tags if tag.startswith(PREFIX)]
    for tag in tags:
        boot, pids, pid, started = tag.split("|")
        if Holder(worker="", boot=boot, pids=pids, pid=int(pid), started=int(started)).is_gone():
            return True
    return False


def _mark(client: SyncPrefectClient, flow_run: FlowRun) -> None:
    at_work = TaskRunFilterStateType(any_=[StateType.RUNNING])
    tasks = client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id])),
        task_run_filter=TaskRunFilter(state=TaskRunFilterState(name=None, type=at_work)),
        limit=PAGE,
    )
    for task in tasks:
        client.set_task_run_state(task.id, Crashed(message=MESSAGE), force=True)
    client.set_flow_run_state(flow_run.id, Crashed(message=MESSAGE), force=True)
