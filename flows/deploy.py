"""Put the factory on a Prefect server: pools, one deployment a flow, a schedule, automations."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from cronsim import CronSim, CronSimError

from parrot_core.errors import ParrotError, UserError
from parrot_core.execution.runs import work_folder
from parrot_core.lake.lake import Lake
from parrot_core.lake.run import Run
from parrot_core.recipe import OpenAIEngine, Recipe
from parrot_core.stages.registry import STAGES

POOLS: Mapping[str, str] = {
    "parrot-cpu": "Ingest, seeds, filtering, and the flow that calls the others.",
    "parrot-api": "Stages that only ask APIs: many requests in flight, little CPU.",
    "parrot-gpu": "vLLM and trainings: one at a time a machine.",
}
"""Work pools by name, with what they are for."""

ONE_AT_A_TIME = "parrot-gpu"
PROJECT = Path(__file__).resolve().parents[1]
PREFECT_YAML = PROJECT / "deployments" / "prefect.yaml"

SLUG = "nightly"
"""What the schedule is called on the server."""

Overlap = Literal["wait", "refuse"]
_COLLISION: Mapping[Overlap, str] = {"wait": "ENQUEUE", "refuse": "CANCEL_NEW"}


class DeployFailed(ParrotError):
    """Prefect refused the deployments."""


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """When the whole factory runs by itself, and what each run is called."""

    cron: str
    timezone: str
    run: str  # may hold a date: nightly-%Y-%m-%d
    active: bool = True

    def next_run(self, now: datetime) -> datetime:
        """When it fires next.

        Raises:
            UserError: no cron expression, no such time zone, or a time that never comes.
        """
        # Not by Prefect's own class: its settings are read at import, before the server is known.
        try:
            due = next(CronSim(self.cron, now.astimezone(ZoneInfo(self.timezone))), None)
        except (CronSimError, ZoneInfoNotFoundError, ValueError):
            raise UserError(
                f"--cron '{self.cron}' --timezone {self.timezone}: expected five fields as in "
                "'0 1 * * *' (minute, hour, day, month, weekday) and a zone such as Europe/Berlin"
            ) from None
        if due is None:
            raise UserError(f"--cron '{self.cron}': never comes")
        return due


def standing(schedule: CronSchedule) -> CronSchedule:
    """The schedule, paused if the one that stands on the server is."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            there = client.read_deployment_by_name("regenerate/regenerate").schedules
        except ObjectNotFound:
            return schedule
    paused = any(each.slug == SLUG and not each.active for each in there)
    return replace(schedule, active=not paused)


def rendered(
    recipe: Recipe, schedule: CronSchedule | None, overlap: Overlap, folder: Path = PROJECT
) -> dict[str, Any]:
    """``deployments/prefect.yaml`` with the recipe, its pools and the schedule filled in.

    The recipe is a parameter of every deployment: Prefect's UI shows it as a form, filled in.

    """
    data = yaml.safe_load(PREFECT_YAML.read_text(encoding="utf-8"))
    given = recipe.model_dump(mode="json")
    data["pull"] = [{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}]
    data["deployments"] += stage_deployments(recipe, like=data["deployments"][0])
    for deployment in data["deployments"]:
        name = deployment["name"]
        parameters = deployment.setdefault("parameters", {})
        if name == "retry-failed":
            parameters["lake"] = recipe.lake
        else:
            parameters["recipe"] = given
        if "concurrency_limit" in deployment:
            limit = {"limit": 1, "collision_strategy": _COLLISION[overlap]}
            deployment["concurrency_limit"] = limit
        if name == "regenerate" and schedule is not None:
            deployment["schedules"] = [
                {
                    "slug": SLUG,
                    "cron": schedule.cron,
                    "timezone": schedule.timezone,
                    "active": schedule.active,
                    "parameters": {"run": schedule.run},
                }
            ]
    return dict(data)


def stage_deployments(recipe: Recipe, like: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One deployment a stage of the registry, on the pool that has what it needs.

    Args:
        recipe: whose engines decide which pool that is.
        like: a deployment whose pool's job variables they share.
    """
    lake = Lake(recipe.lake)
    run = Run(recipe.name, recipe, lake, work_folder(lake, recipe.name))
    made = []
    for stage in STAGES:
        paid = any(
            isinstance(recipe.engines.get(name), OpenAIEngine) for name in stage.engines(run)
        )
        pool = "cpu" if recipe.cluster else stage.pool(run)  # where workers are only followed
        kind = ["training"] if stage.kind == "model" else ["paid"] if paid else []
        made.append(
            {
                "name": stage.name,
                "entrypoint": f"flows.stages.{stage.name.replace('-', '_')}",
                "description": stage.summary + (" Spends money." if paid else ""),
                "tags": ["parrot", "stage", *kind],
                "work_pool": {**like["work_pool"], "name": f"parrot-{pool}"},
            }
        )
    return made


def create_pools(kind: str = "process") -> list[str]:
    """Create the work pools that aren't there; returns their names.

    An existing pool is left as it is: its type, limits and job variables are the operator's.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound

    created = []
    with get_client(sync_client=True) as client:
        for name, description in POOLS.items():
            try:
                client.read_work_pool(name)
            except ObjectNotFound:
                limit = 1 if name == ONE_AT_A_TIME else None
                pool = WorkPoolCreate(
                    name=name, type=kind, description=description, concurrency_limit=limit
                )
                client.create_work_pool(pool)
                created.append(name)
    return created


def deployment_id(name: str) -> UUID:
    """The id of a deployment, by ``flow/deployment``."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return client.read_deployment_by_name(name).id


def apply(data: Mapping[str, Any]) -> None:
    """Apply deployments to the server that ``PREFECT_API_URL`` names.

    Raises:
        DeployFailed: Prefect's own words.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "prefect.yaml"
        file.write_text(yaml.safe_dump(dict(data), sort_keys=False), encoding="utf-8")
        done = subprocess.run(
            [*prefect_command(), "--no-prompt", "deploy", "--all", "--prefect-file", str(file)],
            cwd=PROJECT,
            env={**os.environ, "PARROT_HOME": str(PROJECT)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise DeployFailed(f"prefect deploy failed: {said[-1] if said else 'no output'}")


def worker_command(pool: str, name: str | None = None, limit: int | None = None) -> list[str]:
    """The command that starts a worker of a pool on this machine."""
    command = [*prefect_command(), "worker", "start", "--pool", pool, "--type", "process"]
    command += ["--install-policy", "never"]
    command += ["--name", name] if name else []
    return command + (["--limit", str(limit)] if limit else [])


def prefect_command() -> list[str]:
    """Prefect's command, of the environment that we run in."""
    return [sys.executable, "-m", "prefect"]
