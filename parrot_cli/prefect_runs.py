"""What Prefect knows of a run of ours: its flow runs, to cancel them and to read their lines."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from parrot_cli import prefect_server

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import DeploymentSchedule, FlowRun, StateType

MOST = 200
"""Flow runs of one name that are looked at."""


@contextmanager
def client() -> "Iterator[SyncPrefectClient | None]":
    """A client of the server in ``PREFECT_API_URL`` or of the one started from here, if any.

    Nothing of Prefect may be imported before: it reads then where its server is.
    """
    if not os.environ.get("PREFECT_API_URL"):
        local = prefect_server.running()
        if local is None:
            yield None
            return
        os.environ.update(prefect_server.environment(local))
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as opened:
        yield opened


def flow_runs(opened: "SyncPrefectClient", run: str) -> "list[FlowRun]":
    """The flow runs that make a run, its stages, or a part of a stage as one of its workers."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
    from prefect.client.schemas.sorting import FlowRunSort

    from parrot_core.stages.registry import STAGE_SPECS

    stages = [f"{run}-{spec.name}" for spec in STAGE_SPECS]
    named = FlowRunFilterName(any_=[run, f"retry-{run}", *stages])
    workers = FlowRunFilterName(like_=f"{run}-%worker ")
    return [
        each
        for name in (named, workers)
        for each in opened.read_flow_runs(
            flow_run_filter=FlowRunFilter(name=name),
            sort=FlowRunSort.START_TIME_DESC,
            limit=MOST,
        )
        if name is named or each.name.partition(" worker ")[0] in stages
    ]


def cancel_runs(run: str) -> int:
    """Cancel all flow runs of a run that haven't ended; returns how many.

    Their processes notice within seconds and stop as after Ctrl-C.
    """
    with client() as opened:
        if opened is None:
            return 0
        from prefect.states import Cancelling

        live = [r for r in flow_runs(opened, run) if r.state is None or not r.state.is_final()]
        for each in live:
            opened.set_flow_run_state(each.id, Cancelling(message="by parrot cancel"), force=True)
        return len(live)


def lines_of(run: str, most: int) -> Sequence[str]:
    """The newest log lines of a run's flow runs, in order of time."""
    with client() as opened:
        if opened is None:
            return []
        from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
        from prefect.client.schemas.objects import Log
        from prefect.client.schemas.sorting import LogSort

        ids = [each.id for each in flow_runs(opened, run)]
        if not ids:
            return []
        newest: list[Log] = []
        while len(newest) < most:
            page = opened.read_logs(
                log_filter=LogFilter(flow_run_id=LogFilterFlowRunId(any_=ids)),
                limit=min(most - len(newest), MOST),
                offset=len(newest),
                sort=LogSort.TIMESTAMP_DESC,
            )
            newest += page
            if len(page) < MOST:
                break
    return [f"{line.timestamp:%Y-%m-%d %H:%M:%S} {line.message}" for line in reversed(newest)]


def deployed() -> list[dict[str, str | int | None]]:
    """Our deployments: pool, schedule, when it fires next, flow runs in work."""
    with client() as opened:
        if opened is None:
            return []
        from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
        from prefect.client.schemas.objects import StateType

        ours = DeploymentFilter(tags=DeploymentFilterTags(all_=["parrot"]))
        found = opened.read_deployments(deployment_filter=ours, limit=MOST)
        ids = [each.id for each in found]
        waiting = _runs_of(opened, ids, StateType.SCHEDULED)
        working = _runs_of(opened, ids, StateType.RUNNING, StateType.PENDING)
    rows: list[dict[str, str | int | None]] = []
    for each in found:
        due = next((run for run in waiting if run.deployment_id == each.id), None)
        when = due.expected_start_time if due else None
        rows.append(
            {
                "name": each.name,
                "pool": each.work_pool_name,
                "schedule": ", ".join(map(_schedule, each.schedules)) or None,
                "next": _firing(due, when) if due and when else None,
                "running": ", ".join(r.name for r in working if r.deployment_id == each.id) or None,
            }
        )
    return sorted(rows, key=lambda row: (row["schedule"] is None, str(row["name"])))


def _firing(due: "FlowRun", when: datetime) -> str:
    """When a flow run is due, and the name its run will have; Prefect names it when it starts."""
    run = str(due.parameters.get("run") or due.name)
    return f"{when:%Y-%m-%d %H:%M %Z} as {when:{run}}"


def _runs_of(
    opened: "SyncPrefectClient", deployments: "list[UUID]", *states: "StateType"
) -> "list[FlowRun]":
    """Flow runs of deployments in one of the states, the one that is due first at the front."""
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterId,
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.sorting import FlowRunSort

    if not deployments:
        return []
    kinds = FlowRunFilterStateType(any_=list(states))
    return opened.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=kinds)),
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=deployments)),
        sort=FlowRunSort.EXPECTED_START_TIME_ASC,
        limit=MOST,
    )


def _schedule(held: "DeploymentSchedule") -> str:
    """A schedule in short, and whether it is paused."""
    what = getattr(held.schedule, "cron", None) or str(held.schedule)
    zone = getattr(held.schedule, "timezone", None) or "UTC"
    return f"{what} {zone}" + ("" if held.active else " (paused)")
