"""Run stages of a recipe in this process, without Prefect: for notebooks, scripts and tests.

It writes what ``parrot run`` writes, so either goes on with a run that the other began. Ctrl-C
keeps what is in flight, for some seconds; a second one ends the run at once.
"""

import logging
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import Future, wait
from contextvars import copy_context
from functools import partial

from parrot_core.engines.types import Completion
from parrot_core.errors import LeaseLost, RunStopped, ShardHeld
from parrot_core.execution.attempt import NOT_RETRIED
from parrot_core.execution.preview import Previewed
from parrot_core.execution.preview import preview as preview_run
from parrot_core.execution.runs import ask_for, begin_run, budget_of, is_published
from parrot_core.execution.selection import check_selection, run_to_be, selected
from parrot_core.execution.shard_queue import Pulled
from parrot_core.execution.stage_worker import OpenStage, complete_stage, open_stage
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.run import Run
from parrot_core.lake.stops import Stops
from parrot_core.recipe import Recipe
from parrot_core.stages.base import Row, Stage
from parrot_core.stages.registry import STAGES
from parrot_core.telemetry.execution_context import in_context
from parrot_core.telemetry.stop_request import stop_request

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 5.0
LET_GO_S = 2.0
"""Longest wait for shards that were given up to let go of their leases."""


def run(
    recipe: Recipe,
    name: str | None = None,
    *,
    only: Sequence[str] = (),
    until: str | None = None,
) -> dict[str, Manifest]:
    """Make what a run doesn't have yet, here and now. Calling it again does only what is missing.

    Args:
        recipe: everything the run can be told, its lake included.
        name: the run's name and that of its versions; the recipe's own name when left out.
        only: the stages to run; all of the recipe's when left out.
        until: the last stage to run.

    Returns:
        The manifest of each dataset and model that the wanted stages stand for, by its name.

    Raises:
        RecipeError: a wanted stage lacks a setting, an engine or an input.
        PartiallyFailed: some shards failed; what the others made is kept.
        RunError: an engine or the budget stopped the run; what was paid for is kept.
    """
    to_be = run_to_be(recipe, name)
    wanted = selected(to_be, only, last=until)
    check_selection(to_be, wanted)
    begun = begin_run(recipe, name)
    ask_for(begun, None if len(wanted) == len(STAGES) else wanted)
    stops = Stops(begun.lake.storage, begun.name)
    stops.clear()
    try:
        for stage in wanted:
            if begun.makes(stage.name) and not is_published(begun, stage):
                with in_context(begun.name, stage.name):
                    complete_stage(begun, stage, partial(work_through, begun, stage))
    except (RunStopped, KeyboardInterrupt) as stopped:
        stops.record(str(stopped) or "interrupted")
        raise
    finally:
        stop_request().reset()  # the process may outlive this run, as a notebook does
    return {
        stage.output: begun.lake.manifest(stage.kind, stage.output, stage.version(begun))
        for stage in wanted
        if begun.lake.published(stage.kind, stage.output, stage.version(begun))
    }


def work_through(run: Run, stage: Stage, only: Collection[int] | None = None) -> Manifest:
    """Do the shards that are left of a stage, or of ``only``, in threads here, and publish it."""
    begun: list[Future[None]] = []

    def submit(pulled: Pulled) -> "Future[None]":
        begun.append(_begin_shard(opened, pulled))
        return begun[-1]

    try:
        with open_stage(run, stage, budget_of(run)) as opened:
            opened.work_through(submit, only)
    except BaseException:
        wait(begun, LET_GO_S)  # their engines are closed: they end, and let go of their shards
        raise
    return opened.publish()


def _begin_shard(opened: OpenStage, pulled: Pulled) -> "Future[None]":
    """Work on a shard in a thread that no exit waits for, as it does for a pool's threads."""
    ended: Future[None] = Future()

    def work() -> None:
        try:
            _do_shard(opened, pulled)
        except Exception as error:
            ended.set_exception(error)
        else:
            ended.set_result(None)

    threading.Thread(
        target=copy_context().run, args=(work,), name="parrot-shard", daemon=True
    ).start()
    return ended


def _do_shard(opened: OpenStage, pulled: Pulled) -> None:
    """Try a shard as often as the recipe says; what becomes of it is in the lake."""
    for left in range(opened.run.recipe.shard_retries, -1, -1):
        try:
            opened.run_shard(pulled.shard, pulled.watched, wait=False)
            return
        except (ShardHeld, LeaseLost, *NOT_RETRIED) as error:
            logger.info("shard %d: %s", pulled.shard.index, error)
            return
        except Exception:
            if not left:
                raise
            stop_request().wait(RETRY_AFTER_S)


def preview(
    recipe: Recipe,
    stage: str = "synthesize",
    number: int = 3,
    *,
    name: str | None = None,
    openings: Sequence[str] = (),
) -> Previewed:
    """Make the first rows of a stage as its run will, and publish nothing.

    What engines answer is kept, so that the run doesn't buy it again.

    Args:
        recipe: everything the run can be told.
        stage: one of ``execution.preview.PREVIEWED``.
        name: the run whose inputs are read; the recipe's own name when left out.
        openings: first queries to begin dialogues with, instead of the seeds.
    """
    return preview_run(run_to_be(recipe, name), stage, number, _Quiet(), openings)


class _Quiet:
    """Shows nothing: the rows are returned."""

    def begins(self, row: Row) -> None: ...

    def said(self, sample: str, engine: str, completion: Completion) -> None: ...

    def made(self, row: Row) -> None: ...

    def refused(self, reject: Row) -> None: ...
