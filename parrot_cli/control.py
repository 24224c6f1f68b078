"""Commands around a run in progress: ``dashboard``, ``logs``, ``pause``, ``resume``, ``cancel``."""

import getpass
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from parrot_cli.console import err, out
from parrot_cli.options import DEFAULT_LAKE, LakeHere, RunName

if TYPE_CHECKING:
    from parrot_core.lake.attempts import AttemptFailure
    from parrot_core.monitor.state import RunState


def dashboard(
    lake: LakeHere = DEFAULT_LAKE,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine's own needs a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8787,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="No retries, pauses or marks.")
    ] = False,
    browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Watch runs and read their data in the browser. Reads only the lake."""
    from parrot_core.errors import UserError

    try:
        from dashboard.server import serve
    except ModuleNotFoundError as error:
        if error.name != "nicegui":
            raise
        raise UserError("the dashboard needs: pip install 'parrot-factory[dashboard]'") from None

    serve(
        lake,
        host,
        port,
        read_only=read_only,
        browser=browser,
        console=out,
        prefect_api=_prefect_api,
    )


def _prefect_api() -> str | None:
    """Where a Prefect server answers: the one of the environment, or the local one."""
    from parrot_cli import prefect_server

    local = None if "PREFECT_API_URL" in os.environ else prefect_server.running()
    return local.api_url if local else os.environ.get("PREFECT_API_URL")


def pause(
    name: RunName,
    lake: LakeHere = DEFAULT_LAKE,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown with the pause.")] = "",
) -> None:
    """Pause a run: no shard begins and no request is sent; answers on their way are kept."""
    from parrot_core.execution.runs import open_run
    from parrot_core.lake.lake import Lake
    from parrot_core.lake.pauses import Pauses

    opened = Lake(lake)
    open_run(opened, name)
    record = Pauses(opened.storage, name).pause(getpass.getuser(), datetime.now(UTC), reason)
    out.print(f"run '{name}' is {record}", markup=False, soft_wrap=True)


def resume(name: RunName, lake: LakeHere = DEFAULT_LAKE) -> None:
    """Resume a paused run; its workers notice within seconds."""
    from parrot_core.execution.runs import open_run
    from parrot_core.lake.lake import Lake
    from parrot_core.lake.pauses import Pauses

    opened = Lake(lake)
    open_run(opened, name)
    was = Pauses(opened.storage, name).resume()
    told = "goes on where a worker is up, else with `parrot retry`" if was else "was not paused"
    out.print(f"run '{name}' {told}", markup=False)


def cancel(name: RunName, lake: LakeHere = DEFAULT_LAKE) -> None:
    """Stop a run in progress; what is in flight is kept, and the same command continues it."""
    from parrot_cli.prefect_runs import cancel_runs
    from parrot_core.execution.runs import open_run
    from parrot_core.lake.lake import Lake
    from parrot_core.lake.stops import Stops

    opened = Lake(lake)
    open_run(opened, name)
    cancelled = cancel_runs(name)
    if not cancelled:
        out.print(f"run '{name}': no process of it is known to Prefect", markup=False)
        return
    Stops(opened.storage, name).record(f"cancelled by {getpass.getuser()}")
    out.print(f"run '{name}' is cancelled: its workers stop within seconds", markup=False)


def logs(
    name: RunName,
    lake: LakeHere = DEFAULT_LAKE,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, help="How many of the newest lines to show.")
    ] = 200,
) -> None:
    """Print what a run has logged: Prefect's lines, then the failures recorded in the lake."""
    from parrot_cli.prefect_runs import lines_of
    from parrot_core.execution.runs import open_run
    from parrot_core.lake.lake import Lake
    from parrot_core.monitor.reader import read_run
    from parrot_core.stages.registry import STAGE_SPECS
    from parrot_core.text.sanitise import sanitise

    opened = Lake(lake)
    open_run(opened, name)
    said = lines_of(name, lines)
    if not said:
        err.print(f"Prefect has no lines of run '{name}' (a server of its own: PREFECT_API_URL)")
    for line in said:
        out.print(sanitise(line), markup=False, highlight=False, soft_wrap=True)
    failures = failures_of(read_run(opened, name, STAGE_SPECS, datetime.now(UTC)))
    if failures:
        out.print("\nfailures recorded in the lake, the last one at the end:", soft_wrap=True)
    for place, failure in failures:
        head = f"{failure.ended_at:%Y-%m-%d %H:%M:%S} {place}: {failure.error_type}"
        told = sanitise(f"{head}: {failure.message}")
        out.print(told, markup=False, highlight=False, soft_wrap=True, style="red")
        if failure.traceback:
            out.print(sanitise(failure.traceback), markup=False, highlight=False, soft_wrap=True)


def failures_of(state: "RunState") -> "list[tuple[str, AttemptFailure]]":
    """All failures of a run with their places, of shards and of whole stages, oldest first."""
    found = [
        (f"{stage.name} shard {shard.index}, attempt {failure.attempt}", failure)
        for stage in state.stages
        for shard in stage.shards
        for failure in shard.failures
    ]
    found += [(stage.name, stage.failure) for stage in state.stages if stage.failure is not None]
    return sorted(found, key=lambda each: each[1].ended_at)
