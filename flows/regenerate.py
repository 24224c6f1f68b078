"""The whole factory as one flow, and the flow that finishes a run in which shards failed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from opentelemetry import trace
from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run
from prefect.states import Cancelled
from prefect.telemetry.run_telemetry import LABELS_TRACEPARENT_KEY, RunTelemetry
from pydantic import WithJsonSchema

from flows.lost_runs import mark_lost
from flows.picker import refresh
from flows.pools import run_on_pool
from flows.server_outage import tried
from flows.stages import run_here
from flows.stopping import stopping_on_signals
from parrot_core.analysis.results.findings import gather
from parrot_core.errors import RunStopped
from parrot_core.execution.runs import (
    ask_for,
    begin_run,
    checked_name,
    is_published,
    open_run,
    release_quarantine,
)
from parrot_core.execution.selection import check_selection, run_to_be, selected
from parrot_core.lake.lake import Lake
from parrot_core.lake.requested_stages import RequestedStages
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import report_file
from parrot_core.lake.stops import Stops
from parrot_core.recipe import Recipe
from parrot_core.report.html_report import render_report
from parrot_core.report.markdown_report import render_markdown
from parrot_core.stages.base import Stage
from parrot_core.stages.registry import STAGE_SPECS, STAGES
from parrot_core.telemetry.execution_context import in_context
from parrot_core.telemetry.stop_request import stop_request
from parrot_core.telemetry.tracing import span, start_tracing

StageName = Annotated[
    str, WithJsonSchema({"type": "string", "enum": [stage.name for stage in STAGES]})
]
"""A stage, which Prefect's forms offer as a choice."""


def dated(run: str, scheduled: datetime) -> str:
    """A run's name with its date filled in, as in ``nightly-%Y-%m-%d``.

    Raises:
        UserError: what comes out can't name a run.
    """
    return checked_name(scheduled.strftime(run) if "%" in run else run)


def _flow_run_name() -> str:
    """The name of the run that this flow makes, so that it is known from outside."""
    given = flow_run.parameters
    asked = given.get("run") or given["recipe"].name
    return dated(asked, flow_run.scheduled_start_time or datetime.now(UTC))


@flow(name="regenerate", flow_run_name=_flow_run_name)
def regenerate(
    recipe: Recipe,
    run: str | None = None,
    until: StageName | None = None,
    only: list[StageName] | None = None,
    shards: list[int] | None = None,
    on_pools: bool = False,
) -> str | State[Any]:
    """Make every version of a run that isn't there yet, from ShareGPT to an evaluated Parrot-Chat.

    Running it again does only what is missing.

    Args:
        recipe: everything the run can be told.
        run: name of the run and of its versions; the recipe's own name when left out. It may hold
            a date, as in ``nightly-%Y-%m-%d``: the day that the flow run was scheduled for.
        until: last stage to run; all of the recipe's when left out.
        only: the stages to run; all of the recipe's when left out.
        shards: of the last stage only these; all that are missing when left out.
        on_pools: run each stage as its deployment, on the work pool that has what it needs.

    Returns:
        Where the report is.
    """
    if run is not None:
        run = dated(run, flow_run.scheduled_start_time or datetime.now(UTC))
    wanted = selected(run_to_be(recipe, run), only or (), last=until)
    check_selection(run_to_be(recipe, run), wanted)
    begun = begin_run(recipe, run)
    if shards is None:
        ask_for(begun, None if len(wanted) == len(STAGES) else wanted)
    start_tracing(recipe.traces)
    _refresh_picker(begun)
    tried(mark_lost, patient=False)
    stops = Stops(begun.lake.storage, begun.name)
    stops.clear()
    with stopping_on_signals():
        try:
            with in_context(begun.name), span(f"run {begun.name}"):
                _hand_on_span()
                _make_missing(begun, wanted, shards, on_pools)
        except RunStopped as stopped:
            stops.record(str(stopped))
            return Cancelled(message=str(stopped))
        except (TerminationSignal, KeyboardInterrupt):
            stops.record("cancelled in Prefect")
            raise
        except Exception:
            _report_failure(begun)
            raise
        finally:
            if not stop_request().asked:
                _refresh_picker(begun)
    return write_report(begun)


def _make_missing(
    run: Run, wanted: Sequence[Stage], shards: list[int] | None, on_pools: bool
) -> None:
    for stage in wanted:
        if run.makes(stage.name) and not is_published(run, stage):
            only = shards if stage is wanted[-1] else None
            (run_on_pool if on_pools else run_here)(run, stage, only)


@flow(name="retry-failed", flow_run_name="retry-{run}")
def retry_failed(
    run: str,
    lake: str = ".parrot/lake",
    on_pools: bool = False,
    quarantined: bool = False,
    rest: bool = False,
) -> State[Any]:
    """Do what is missing of the stages that were asked for, with the recipe it was begun with.

    Args:
        run: name of the run.
        lake: where the run is: a path or URL.
        on_pools: see ``regenerate``.
        quarantined: try shards again, too, that are in quarantine after too many failures.
        rest: go on with the stages that nobody has asked for yet, too.

    Returns:
        Where the report is.
    """
    begun = open_run(Lake(lake), run)
    if quarantined:
        release_quarantine(begun, STAGES)
    recipe = begun.recipe.model_copy(update={"lake": lake})
    asked = None if rest else RequestedStages(begun.lake.storage, run).read()
    only = list(asked) if asked else None
    return regenerate(recipe, run, only=only, on_pools=on_pools, return_state=True)


def _refresh_picker(run: Run) -> None:
    """Offer the runs that aren't done in the form of ``retry-failed``."""
    tried(lambda: refresh(run.lake))


def _hand_on_span() -> None:
    """Make the flow runs that this one starts, here or on a pool, part of the span we are in.

    Prefect hands on the span of a flow run by a label, and has none where the process got its
    tracer provider only from the recipe, when the flow run had begun.
    """
    context, ours = FlowRunContext.get(), trace.get_current_span()
    told = RunTelemetry.traceparent_from_span(ours)
    if told and context is not None and context.flow_run is not None:
        context.flow_run.labels[LABELS_TRACEPARENT_KEY] = told


def _report_failure(run: Run) -> None:
    """Write what there is; a lake that can't be written to must not hide why the run failed."""
    tried(lambda: write_report(run))


def write_report(run: Run) -> str:
    """Write the run's HTML report beside its records, and its Markdown as an artifact.

    Returns:
        The report's URL or path.
    """
    storage = run.lake.storage
    found = gather(run.lake, run.name, STAGE_SPECS, datetime.now(UTC))
    storage.write_bytes(report_file(run.name), render_report(found).encode("utf-8", "replace"))
    place = storage.show(report_file(run.name))
    markdown = f"{render_markdown(found)}\nThe whole report: `{place}`\n"
    tried(lambda: create_markdown_artifact(markdown, key="regenerate-report"))
    return place
