"""The whole factory as one flow, and the flow that finishes a run in which shards failed."""

from typing import Any, cast

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.task_runners import ThreadPoolTaskRunner

from flows.stages import STAGE_FLOWS
from parrot_core.evaluation.report import build_report
from parrot_core.lake.lake import Lake
from parrot_core.lake.run_records import report_file
from parrot_core.monitor.state import StageSpec
from parrot_core.pipeline import STAGES
from parrot_core.recipe import Recipe
from parrot_core.runner import begin_run, is_published, open_run
from parrot_core.stage import Run

STAGE_SPECS = tuple(StageSpec(stage.name, stage.output, stage.kind) for stage in STAGES)


@flow(name="regenerate", flow_run_name="{recipe.name}")
def regenerate(
    recipe: Recipe,
    run: str | None = None,
    until: str | None = None,
    shards: list[int] | None = None,
) -> str:
    """Make every version of a run that isn't there yet, from ShareGPT to an evaluated Parrot-Chat.

    Running it again does only what is missing.

    Args:
        recipe: everything the run can be told.
        run: name of the run and of its versions; the recipe's own name when left out.
        until: last stage to run; all when left out.
        shards: of that last stage only these; all that are missing when left out.

    Returns:
        Where the report is.
    """
    begun = begin_run(recipe, run)
    shards_at_once: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(recipe.shards_at_once)
    try:
        for stage, make in zip(STAGES, STAGE_FLOWS, strict=True):
            if not is_published(begun, stage):
                only = shards if stage.name == until else None
                make.with_options(task_runner=cast(Any, shards_at_once))(recipe, begun.name, only)
            if stage.name == until:
                break
    finally:
        report = write_report(begun)
    create_markdown_artifact(
        f"Run **{begun.name}** is done. Report: `{report}`", key="regenerate-report"
    )
    return report


@flow(name="retry-failed", flow_run_name="retry-{run}")
def retry_failed(run: str, lake: str = ".parrot/lake") -> str:
    """Do what is missing in a run, with the recipe that it was begun with.

    Args:
        run: name of the run.
        lake: where the run is: a path or URL.

    Returns:
        Where the report is.
    """
    begun = open_run(Lake(lake), run)
    recipe = begun.recipe.model_copy(update={"lake": lake})
    return regenerate(recipe, run)


def write_report(run: Run) -> str:
    """Write the run's HTML report beside its records and return its URL or path."""
    storage = run.lake.storage
    html = build_report(run.lake, run.name, STAGE_SPECS)
    storage.write_bytes(report_file(run.name), html.encode("utf-8", "replace"))
    return storage.show(report_file(run.name))
