"""Commands around a run in progress: ``dashboard``, ``pause``, ``resume``."""

import getpass
import os
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from parrot_cli.options import DEFAULT_LAKE, LakeHere

RunName = Annotated[str, typer.Argument(help="Name of a run.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the ``parrot`` command."""
    app.command()(dashboard)
    app.command()(pause)
    app.command()(resume)


def dashboard(
    lake: LakeHere = DEFAULT_LAKE,
    host: Annotated[
        str, typer.Option(help="Address to listen at; others than this machine's need a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8787,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="No retries, pauses or marks.")
    ] = False,
    browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Watch runs and read their data in the browser, from the lake alone."""
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
        console=Console(),
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
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever looks.")] = "",
) -> None:
    """Let a run begin no further shard and send no further request; what is out is kept."""
    from parrot_core.execution.runs import open_run
    from parrot_core.lake.lake import Lake
    from parrot_core.lake.pauses import Pauses

    opened = Lake(lake)
    open_run(opened, name)
    record = Pauses(opened.storage, name).pause(getpass.getuser(), datetime.now(UTC), reason)
    Console().print(f"run '{name}' is {record}", markup=False, soft_wrap=True)


def resume(name: RunName, lake: LakeHere = DEFAULT_LAKE) -> None:
    """Let a paused run go on: its workers see it within seconds."""
    from parrot_core.execution.runs import open_run
    from parrot_core.lake.lake import Lake
    from parrot_core.lake.pauses import Pauses

    opened = Lake(lake)
    open_run(opened, name)
    was = Pauses(opened.storage, name).resume()
    told = "goes on where a worker is up, else with `parrot retry`" if was else "was not paused"
    Console().print(f"run '{name}' {told}", markup=False)
