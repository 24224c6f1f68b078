"""One worker of a stage on a machine of a cluster, and what a driver finds out of such a machine.

What comes from the driver is text: run and stage by name, the recipe as JSON. Engines are opened
here.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from parrot_core.errors import UserError, WorkersLost
from parrot_core.execution.local import work_through
from parrot_core.execution.runs import is_published, open_run
from parrot_core.execution.stage_worker import complete_stage
from parrot_core.lake.lake import Lake
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords
from parrot_core.recipe import parse_recipe
from parrot_core.stages.registry import stage_named
from parrot_core.stages.training.nodes import RAY_NODE
from parrot_core.telemetry.execution_context import in_context
from parrot_core.telemetry.tracing import span, start_tracing

IDLE_LIVES = 3
"""So often may a worker be lost without a sign of work in the lake."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one worker is to do."""

    recipe: str  # JSON
    run: str
    stage: str
    only: tuple[int, ...] | None  # numbers of shards; None: all
    proof: str  # a file that the driver has just put into the lake
    number: int  # which worker of the stage it is
    workers: int

    @property
    def name(self) -> str:
        """What it is called in Ray's and Prefect's pages."""
        return f"{self.run}-{self.stage} worker {self.number}/{self.workers}"


def work(assignment: Assignment) -> None:
    """Pull shards of the stage until it is published; called again where a machine was lost.

    Raises:
        UserError: this machine doesn't reach the driver's lake.
        WorkersLost: the worker was lost several times, and the stage got no further.
        ParrotError: the stage can't be finished from here.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    level = os.environ.get("PARROT_LOG_LEVEL", "INFO").upper()
    logging.getLogger("parrot_core").setLevel(level)
    _tell_children()
    recipe = parse_recipe(json.loads(assignment.recipe))
    lake = Lake(recipe.lake)
    if not lake.storage.exists(assignment.proof):
        raise UserError(not_shared(recipe.lake, [os.uname().nodename]))
    run = replace(open_run(lake, assignment.run), recipe=recipe)
    stage = stage_named(assignment.stage)
    if is_published(run, stage):
        return
    _count_life(run, assignment)
    start_tracing(recipe.traces)
    with in_context(run.name, stage.name), span(f"worker {assignment.number}"):
        complete_stage(run, stage, partial(work_through, run, stage, assignment.only))


def _tell_children() -> None:
    """Let what the stage starts find the cluster that we are on: a training, a vLLM over nodes."""
    ray: Any = sys.modules.get("ray")  # this function is of use without it, too
    if ray is not None and ray.is_initialized():
        here = ray.get_runtime_context()
        os.environ["RAY_ADDRESS"] = here.gcs_address
        os.environ[RAY_NODE] = here.get_node_id()


def _count_life(run: Run, assignment: Assignment) -> None:
    """Refuse to begin once more what ends each time before anything is done."""
    storage, path = run.lake.storage, f"{assignment.proof}-{assignment.number}"
    files = len(StageRecords(storage, run.name, assignment.stage).shard_files())
    try:
        before: dict[str, Any] = storage.read_json(path)
    except FileNotFoundError:
        before = {"files": -1}
    idle = before["idle"] + 1 if before["files"] == files else 0
    if idle >= IDLE_LIVES:
        raise WorkersLost(
            f"{assignment.name} was lost {IDLE_LIVES} times and the stage got no further: killed, "
            "out of memory, or its machine gone; Ray's page has the reasons"
        )
    storage.write_json(path, {"files": files, "idle": idle})


def not_shared(lake: str, machines: Sequence[str]) -> str:
    """What is wrong with a lake that some machines don't reach."""
    return (
        f"lake {lake}: {', '.join(machines)} found another one there, or none; expected S3, or a "
        "folder that all nodes of the cluster share"
    )


def machine_look() -> Callable[[str, str, Sequence[str]], dict[str, Any]]:
    """A function that looks at the machine it is sent to, which may lack this package.

    It takes the lake, the driver's file in it and the names of variables. It returns ``error``, or
    ``version``, ``shared`` and those variables that are ``missing``.
    """

    def look(lake: str, proof: str, variables: Sequence[str]) -> dict[str, Any]:
        import os  # all of it travels, but no import at the head of this module

        try:
            from parrot_core.lake.lake import Lake
            from parrot_core.version import __version__
        except ImportError as error:
            return {"error": f"Parrot can't be imported there ({error})"}
        missing = [name for name in variables if not os.environ.get(name)]
        try:
            shared = Lake(lake).storage.exists(proof)
        except Exception as error:
            return {"error": f"lake {lake}: {error}"}
        return {"version": __version__, "shared": shared, "missing": missing}

    return look
