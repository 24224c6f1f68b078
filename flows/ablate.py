"""An ablation as a flow: a subflow a cell, then the tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run

from flows.outcome import check_completed
from flows.regenerate import write_report
from flows.server_outage import tried
from flows.stages import run_here
from parrot_core.analysis.ablation.matrix import Matrix, check_matrix
from parrot_core.analysis.ablation.plan import CellPlan, plan_ablation
from parrot_core.analysis.ablation.replicates import accuracy_replicates
from parrot_core.analysis.ablation.table import (
    ablation_folder,
    ablation_markdown,
    ablation_result,
)
from parrot_core.analysis.likelihood.held_out_pairs import ModelName
from parrot_core.analysis.likelihood.preference_accuracy import (
    AccuracySettings,
    accuracy_grids,
    measure_accuracy,
)
from parrot_core.analysis.likelihood.real_answers import (
    AnswerSettings,
    answer_grid,
    measure_answers,
)
from parrot_core.errors import ParrotError, RunStopped
from parrot_core.execution.runs import begin_run, is_published, open_run
from parrot_core.lake.lake import Lake
from parrot_core.recipe import Recipe
from parrot_core.stages.registry import STAGES
from parrot_core.text.text_table import Grid


@dataclass(slots=True)
class AblationOutcome:
    """What came of it, and what failed, by cell (or ``accuracy`` or ``answers``)."""

    result: dict[str, Any]
    place: str
    failures: dict[str, str]
    more: list[Grid] = field(default_factory=list)


def run_ablation(matrix: Matrix, plans: Sequence[CellPlan]) -> AblationOutcome:
    """Run the flow and return its outcome; cells that fail are in it."""
    return ablate.with_options(flow_run_name=f"ablate-{matrix.name}")(matrix, list(plans))


@flow(name="ablate", validate_parameters=False)
def ablate(matrix: Matrix, plans: list[CellPlan]) -> AblationOutcome:
    """Run every cell, whatever becomes of the others, and write the tables.

    Args:
        matrix: the cells.
        plans: what each makes and takes from others.
    """
    lake = Lake(plans[0].recipe.lake)
    failures: dict[str, str] = {}
    for plan in plans:
        state = ablate_cell(plan.recipe, plan.run, list(plan.makes), return_state=True)
        try:
            check_completed(state)
        except RunStopped:
            raise
        except Exception as error:
            failures[plan.name] = str(error).splitlines()[0] or type(error).__name__
    result = ablation_result(matrix, plans, failures, lake)
    more: list[Grid] = []
    if matrix.accuracy:
        try:
            if matrix.seeds:
                by_seed = {
                    seed: accuracy_of(matrix.name, plans, failures, lake, seed)
                    for seed in matrix.seeds
                }
                result["accuracy_by_seed"] = by_seed
                more = [*accuracy_replicates(by_seed, plans)]
            else:
                result["accuracy"] = accuracy_of(matrix.name, plans, failures, lake)
                more = accuracy_grids(result["accuracy"])
        except ParrotError as error:
            failures["accuracy"] = str(error)
    if matrix.answers:
        try:
            found = [answers_of(plans, failures, lake, seed) for seed in matrix.seeds or (None,)]
            result["answers"] = found
            more += map(answer_grid, found)
        except ParrotError as error:
            failures["answers"] = str(error)
    markdown = ablation_markdown(result, more)
    folder = ablation_folder(matrix.name)
    lake.storage.write_json(f"{folder}/tables.json", result)
    lake.storage.write_bytes(f"{folder}/tables.md", markdown.encode())
    tried(lambda: create_markdown_artifact(markdown, key="ablation-tables"))
    return AblationOutcome(result, lake.storage.show(f"{folder}/tables.md"), failures, more)


def _flow_run_name() -> str:
    return f"ablate-{flow_run.parameters['matrix'].name}"


@flow(name="ablate-matrix", flow_run_name=_flow_run_name)
def ablate_matrix(matrix: Matrix, recipe: Recipe, earlier: list[str] | None = None) -> str:
    """Run an ablation: every cell of a matrix, sharing what is the same; then the tables.

    Running it again does only what is missing.

    Args:
        matrix: the cells, as in a file of `deployments/ablations`; `base` is not read.
        recipe: what the cells vary.
        earlier: runs whose versions are shared where they fit.

    Returns:
        Where the tables are.

    Raises:
        ParrotError: cells failed; the others are in the tables.
    """
    lake = Lake(recipe.lake)
    check_matrix(matrix, "matrix")
    plans = plan_ablation(matrix, recipe, lake, [open_run(lake, run) for run in earlier or ()])
    found = ablate(matrix, plans)
    if found.failures:
        raise ParrotError("; ".join(f"{name}: {why}" for name, why in found.failures.items()))
    return found.place


@flow(name="ablate-cell", flow_run_name="{run}")
def ablate_cell(recipe: Recipe, run: str, stages: list[str]) -> None:
    """Make the versions of one cell that aren't there yet.

    Args:
        recipe: the cell's, with what it shares pinned.
        run: name of the cell's run.
        stages: what it makes itself; anything else is not needed, or pinned.
    """
    begun = begin_run(recipe, run, stages=stages)
    try:
        for stage in STAGES:
            if begun.makes(stage.name) and not is_published(begun, stage):
                run_here(begun, stage)
    finally:
        write_report(begun)


def accuracy_of(
    name: str,
    plans: Sequence[CellPlan],
    failures: dict[str, str],
    lake: Lake,
    seed: int | None = None,
) -> dict[str, Any]:
    """Preference accuracy of the cells' models, on the pairs of the first that was trained on any.

    With ``seed`` only of the models of that seed, since each seed holds other queries out.
    What an earlier call measured of the same models is not measured again: versions don't change.
    """
    plans = [plan for plan in plans if plan.seed == seed]
    models = _models_of(plans, failures)
    trained = (lake.manifest("model", m.name, m.version).inputs for m in models)
    pairs = next((inputs["preferences"] for inputs in trained if "preferences" in inputs), None)
    if pairs is None:
        raise ParrotError("preference accuracy: no model of the cells was trained on pairs")
    settings = AccuracySettings(seed=plans[0].recipe.seed)
    stored = _stored(name, lake)
    if seed is None:
        before = stored.get("accuracy") or {}
    else:
        before = stored.get("accuracy_by_seed", {}).get(str(seed)) or {}
    same = {
        "models": [str(model) for model in models],
        "preferences": pairs,
        "max_length": settings.max_length,
        "seed": settings.seed,
    }
    if same.items() <= before.items():
        return before
    return measure_accuracy(lake, models, pairs, settings)


def answers_of(
    plans: Sequence[CellPlan], failures: dict[str, str], lake: Lake, seed: int | None
) -> dict[str, Any]:
    """How likely the cells' models find real answers, held out of the first cell's conversations.

    What was scored of the same models before is read, not scored again.
    """
    plans = [plan for plan in plans if plan.seed == seed]
    models = _models_of(plans, failures)
    if not models:
        raise ParrotError("real answers: no cell has made a model")
    conversations = plans[0].recipe.inputs.get("conversations", plans[0].run)
    settings = AnswerSettings(seed=plans[0].recipe.seed)
    return measure_answers(lake, models, conversations, settings)


def _models_of(plans: Sequence[CellPlan], failures: dict[str, str]) -> list[ModelName]:
    made = (plan.model for plan in plans if plan.name not in failures)
    return list(dict.fromkeys(model for model in made if model is not None))


def _stored(name: str, lake: Lake) -> dict[str, Any]:
    """The result of an earlier call; empty if there is none."""
    try:
        return lake.storage.read_json(f"{ablation_folder(name)}/tables.json")
    except FileNotFoundError:
        return {}
