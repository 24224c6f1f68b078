"""Commands of whoever operates the factory: ``deploy``, ``workers``, ``metrics``, ``requests``."""

import os
import signal
import subprocess
import threading
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from flows.server_outage import HEARTBEAT, SILENT_S
from parrot_core.errors import UserError

POOL_NAMES = ("cpu", "api", "gpu")


def register(app: typer.Typer) -> None:
    """Add the commands to the ``parrot`` command."""
    app.command()(deploy)
    app.command()(workers)
    app.command()(metrics)
    app.command()(requests)


def deploy(
    recipe: Annotated[str, typer.Argument(help="Recipe (YAML) that the deployments run.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.PATH=VALUE", help="Override a value of the recipe."),
    ] = None,
    cron: Annotated[
        str | None, typer.Option(help="When to run by itself, e.g. '0 1 * * *'; never if left out.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Of --cron.")] = "UTC",
    run: Annotated[
        str, typer.Option(help="Name of scheduled runs; % as in strftime, by the scheduled time.")
    ] = "nightly-%Y-%m-%d",
    overlap: Annotated[
        str, typer.Option(help="What a run does while another one is in work: wait or refuse.")
    ] = "wait",
    webhook: Annotated[
        str | None,
        typer.Option(
            envvar="PARROT_WEBHOOK", help="Address that is told of failures, pauses and standstill."
        ),
    ] = None,
    silent: Annotated[
        int,
        typer.Option(
            min=35,
            help="Seconds without a heartbeat (one every 30 s) after which a run's process counts "
            "as gone and the run is gone on with.",
        ),
    ] = SILENT_S,
    pool_type: Annotated[str, typer.Option(help="Type of work pools created anew.")] = "process",
) -> None:
    """Put pools, deployments, schedule and automations on the Prefect server."""
    from parrot_cli.launch import use_prefect
    from parrot_core.recipe import load_recipe

    console = Console()
    if overlap not in ("wait", "refuse"):
        raise UserError(f"--overlap {overlap}: expected wait or refuse")
    loaded = load_recipe(recipe, tuple(overrides or ()))
    if "://" not in loaded.lake:  # workers have a working folder of their own
        loaded = loaded.model_copy(update={"lake": os.path.abspath(loaded.lake)})
    use_prefect(console)
    from flows import automations  # Prefect reads its settings when it is imported
    from flows.deploy import CronSchedule, apply, create_pools, deployment_id, rendered
    from flows.picker import refresh
    from parrot_core.lake.lake import Lake

    schedule = CronSchedule(cron, timezone, run) if cron else None
    created = create_pools(pool_type)
    with console.status("Applying the deployments …"):
        apply(rendered(loaded, schedule, "refuse" if overlap == "refuse" else "wait"))
    refresh(Lake(loaded.lake))
    told = automations.install(webhook, deployment_id("regenerate/regenerate"), silent)
    console.print(f"pools created: {', '.join(created) or 'none, all are there'}")
    console.print(f"deployments applied; runs by itself: {cron + ' ' + timezone if cron else 'no'}")
    console.print(f"automations: {len(told)}, notifying {'the webhook' if webhook else 'nobody'}")
    console.print("start workers with: parrot workers")


def workers(
    pools: Annotated[
        list[str] | None, typer.Argument(help="cpu, api, gpu; all of them if left out.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Most flow runs at once of each worker.")
    ] = None,
) -> None:
    """Start a worker for each pool on this machine, until Ctrl-C."""
    from parrot_cli.launch import use_prefect

    console = Console()
    for pool in pools or ():
        if pool not in POOL_NAMES:
            raise UserError(f"'{pool}' is no pool (pools: {', '.join(POOL_NAMES)})")
    use_prefect(console)
    from flows.deploy import worker_command

    environment = {**os.environ, **HEARTBEAT}
    started = {
        pool: subprocess.Popen(worker_command(f"parrot-{pool}", limit=limit), env=environment)
        for pool in pools or POOL_NAMES
    }
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    while not ended.wait(1.0) and all(each.poll() is None for each in started.values()):
        continue
    gone = [pool for pool, each in started.items() if each.poll() is not None]
    for each in started.values():
        each.send_signal(signal.SIGINT)
    for each in started.values():
        each.wait(60)
    if not ended.is_set():
        raise UserError(f"the worker of '{gone[0]}' ended by itself: see its output above")


def metrics(
    lake: Annotated[
        str, typer.Option("--lake", envvar="PARROT_LAKE", help="The lake: a path or URL.")
    ] = ".parrot/lake",
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
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
    try:
        start_http_server(port, host, registry)
    except OSError as error:
        raise UserError(f"--port {port}: {error.strerror or error}") from None
    Console().print(f"metrics of {lake}: http://{host}:{port}/metrics", soft_wrap=True)
    threading.Event().wait()


def requests(
    name: Annotated[str, typer.Argument(help="Name of a run.")],
    lake: Annotated[
        str, typer.Option("--lake", envvar="PARROT_LAKE", help="The lake: a path or URL.")
    ] = ".parrot/lake",
    writes: Annotated[
        float, typer.Option(min=0, help="Dollars per 1,000 writes and listings.")
    ] = 0.005,
    reads: Annotated[float, typer.Option(min=0, help="Dollars per 1,000 reads.")] = 0.0004,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Requests that a run's stages sent to S3, and what they cost at the given prices."""
    from rich.table import Table

    from parrot_core.execution.runs import open_run
    from parrot_core.lake.lake import Lake
    from parrot_core.lake.requests import bill, requests_of

    run = open_run(Lake(lake), name)
    found = requests_of(run.lake.storage, name)
    told = [
        {"stage": stage, "requests": dict(made), "usd": round(bill(made, writes, reads), 6)}
        for stage, made in found.items()
    ]
    console = Console()
    if as_json:
        console.print_json(data=told)
        return
    table = Table("stage", "requests", "by operation", "cost")
    for each, made in zip(told, found.values(), strict=True):
        by_name = ", ".join(f"{operation} {count:,}" for operation, count in made.most_common())
        table.add_row(str(each["stage"]), f"{made.total():,}", by_name, f"${each['usd']:.4f}")
    console.print(table if told else f"run '{name}' has sent no requests to an object store")
