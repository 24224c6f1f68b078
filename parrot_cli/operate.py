"""Commands of whoever operates the factory: ``deploy``, ``workers``, ``metrics``, ``requests``."""

import os
import signal
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from flows.server_outage import HEARTBEAT, SILENT_S
from parrot_cli.console import err, out
from parrot_cli.options import (
    DEFAULT_LAKE,
    AsJson,
    LakeHere,
    LakeUrl,
    Overrides,
    RecipePath,
    RunName,
    recipe_at,
)
from parrot_core.errors import UserError
from parrot_core.text.wording import did_you_mean

if TYPE_CHECKING:
    from flows.deploy import CronSchedule

POOL_NAMES = ("cpu", "api", "gpu")

ENDS_WITHIN_S = 60.0
"""How long a worker that was asked to end may take for the runs it has."""


def deploy(
    recipe: RecipePath,
    lake: LakeUrl = None,
    overrides: Overrides = None,
    cron: Annotated[
        str | None, typer.Option(help="When to start a run, e.g. '0 1 * * *'. Default: never.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Time zone of --cron.")] = "UTC",
    run: Annotated[
        str, typer.Option(help="Name of scheduled runs; date codes as in strftime.")
    ] = "nightly-%Y-%m-%d",
    overlap: Annotated[
        str, typer.Option(help="What a new run does while another is in progress: wait or refuse.")
    ] = "wait",
    webhook: Annotated[
        str | None,
        typer.Option(envvar="PARROT_WEBHOOK", help="URL to notify of failures, pauses and stalls."),
    ] = None,
    silent: Annotated[
        int,
        typer.Option(
            min=35,
            help="Seconds without a heartbeat (one every 30 s) after which a run's process counts "
            "as gone and the run is gone on with.",
        ),
    ] = SILENT_S,
    pool_type: Annotated[
        str, typer.Option(help="Type of the work pools that are created.")
    ] = "process",
) -> None:
    """Put pools, deployments, schedule and automations on the Prefect server."""
    from flows.portable import keys_wanted, portable
    from parrot_cli.launch import use_prefect
    from parrot_core.lake.lake import Lake

    if overlap not in ("wait", "refuse"):
        raise UserError(f"--overlap {overlap}: expected wait or refuse")
    now = datetime.now(UTC)
    # All that can be wrong is found before anything happens.
    loaded = portable(recipe_at(recipe, lake, overrides))
    schedule, due = _schedule(cron, timezone, run, now) if cron else (None, None)
    opened = Lake(loaded.lake)
    use_prefect(err)
    from flows import automations  # Prefect reads its settings when it is imported
    from flows.deploy import apply, create_pools, deployment_id, rendered, standing
    from flows.picker import refresh

    schedule = standing(schedule) if schedule else None
    created = create_pools(pool_type)
    with err.status("Applying the deployments …"):
        apply(rendered(loaded, schedule, "refuse" if overlap == "refuse" else "wait"))
    refresh(opened)
    told = automations.install(webhook, deployment_id("regenerate/regenerate"), silent)
    lines = [
        f"lake: {loaded.lake}",
        f"pools created: {', '.join(created) or 'none, all are there'}",
        f"automations: {len(told)}, notifying {'the webhook' if webhook else 'nobody'}",
    ]
    if schedule is None or due is None:
        lines.append("deployments applied; nothing runs by itself: --cron")
    elif schedule.active:
        lines.append(f"deployments applied; next run: {due:%Y-%m-%d %H:%M %Z} as {due:{run}}")
    else:
        lines.append(
            "deployments applied; the schedule is paused on the server, and stays so: resume it "
            "in the UI, or with `prefect deployment schedule resume`"
        )
    if missing := [name for name in keys_wanted(loaded) if not os.environ.get(name)]:
        lines.append(f"workers need in their environment (not set here): {', '.join(missing)}")
    for line in [*lines, "start workers with: parrot workers"]:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _schedule(cron: str, timezone: str, run: str, now: datetime) -> "tuple[CronSchedule, datetime]":
    """A schedule that was checked, and when it fires next."""
    from flows.deploy import CronSchedule
    from parrot_core.execution.runs import checked_name

    schedule = CronSchedule(cron, timezone, run)
    due = schedule.next_run(now)
    checked_name(f"{due:{run}}")
    return schedule, due


def list_(as_json: AsJson = False) -> None:
    """List the deployments: next run, pool, and what is running."""
    from parrot_cli.prefect_runs import deployed
    from parrot_cli.tables import Column, FittedTable

    found = deployed()
    if as_json:
        out.print_json(data=found)
        return
    if not found:
        out.print("nothing is deployed (`parrot deploy`), or no Prefect server is up")
        return
    table = FittedTable(
        [Column(name) for name in ("deployment", "pool", "schedule", "next", "in work")]
    )
    for each in found:
        table.add(
            *(str(each[name] or "") for name in ("name", "pool", "schedule", "next", "running"))
        )
    out.print(table)


def workers(
    pools: Annotated[
        list[str] | None, typer.Argument(help="cpu, api, gpu. Default: all of them.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="How many flow runs each worker may run at once.")
    ] = None,
) -> None:
    """Start a worker for each pool on this machine, until Ctrl-C."""
    from parrot_cli import prefect_server
    from parrot_cli.launch import use_prefect

    console = out
    for pool in pools or ():
        if pool not in POOL_NAMES:
            hint = did_you_mean(pool, POOL_NAMES)
            raise UserError(f"'{pool}' is no pool (pools: {', '.join(POOL_NAMES)}){hint}")
    use_prefect(console)
    from flows.deploy import worker_command

    environment = {**os.environ, **HEARTBEAT}
    asked = _asked_to_end()  # first, or the workers inherit a SIGINT that a shell had ignored
    started = {
        pool: subprocess.Popen(worker_command(f"parrot-{pool}", limit=limit), env=environment)
        for pool in pools or POOL_NAMES
    }
    with prefect_server.kept_up():
        while not asked and all(each.poll() is None for each in started.values()):
            time.sleep(1.0)
    gone = [pool for pool, each in started.items() if each.poll() is not None]
    for each in started.values():
        each.send_signal(signal.SIGINT)
    for pool, each in started.items():
        try:
            each.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            err.print(f"the worker of '{pool}' doesn't end: killed")
            each.kill()
    if not asked:
        raise UserError(f"the worker of '{gone[0]}' ended by itself: see its output above")


def metrics(
    lake: LakeHere = DEFAULT_LAKE,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 9108,
    once: Annotated[bool, typer.Option("--once", help="Print one scrape and end.")] = False,
) -> None:
    """Serve the lake's runs to Prometheus at /metrics, until Ctrl-C."""
    from prometheus_client import CollectorRegistry, generate_latest, start_http_server

    from parrot_core.lake.lake import Lake
    from parrot_core.monitor.exposition import RunCollector
    from parrot_core.stages.registry import STAGE_SPECS

    registry = CollectorRegistry()
    registry.register(RunCollector(Lake(lake), STAGE_SPECS, lambda: datetime.now(UTC)))
    if once:
        typer.echo(generate_latest(registry).decode(), nl=False)
        return
    asked = _asked_to_end()
    try:
        start_http_server(port, host, registry)
    except OSError as error:
        raise UserError(f"--port {port}: {error.strerror or error}") from None
    out.print(f"metrics of {lake}: http://{host}:{port}/metrics", soft_wrap=True)
    while not asked:
        time.sleep(0.5)


def _asked_to_end() -> list[int]:
    """A list that SIGINT and SIGTERM fill, also where a shell had SIGINT ignored.

    Not an event: the main thread may hold its lock while the handler runs.
    """
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked.append(number))
    return asked


def requests(
    name: RunName,
    lake: LakeHere = DEFAULT_LAKE,
    writes: Annotated[
        float, typer.Option(min=0, help="Dollars per 1,000 writes and listings.")
    ] = 0.005,
    reads: Annotated[float, typer.Option(min=0, help="Dollars per 1,000 reads.")] = 0.0004,
    as_json: AsJson = False,
) -> None:
    """Show the requests that a run's stages sent to S3, and what they cost."""
    from parrot_cli.tables import Column, FittedTable, figures
    from parrot_core.execution.runs import open_run
    from parrot_core.lake.lake import Lake
    from parrot_core.lake.requests import bill, requests_of

    run = open_run(Lake(lake), name)
    found = requests_of(run.lake.storage, name)
    told = [
        {"stage": stage, "requests": dict(made), "usd": round(bill(made, writes, reads), 6)}
        for stage, made in found.items()
    ]
    console = out
    if as_json:
        console.print_json(data=told)
        return
    columns = [Column("stage"), *figures("requests", "cost")]
    table = FittedTable([*columns, Column("by operation", prose=True)])
    for each, made in zip(told, found.values(), strict=True):
        by_name = ", ".join(f"{operation} {count:,}" for operation, count in made.most_common())
        table.add(str(each["stage"]), f"{made.total():,}", f"${each['usd']:.4f}", by_name)
    console.print(table if told else f"run '{name}' has sent no requests to an object store")
