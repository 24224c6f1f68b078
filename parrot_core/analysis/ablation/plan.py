"""Which versions the cells of an ablation share, and which each has to make.

Two versions are the same if the same stage makes them with the same seed, the same values of all
settings it reads, the same engines, and inputs that are the same. The first cell that needs such a
version makes it; later ones pin it. Stages whose output the evaluation doesn't lead back to are
not run at all.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parrot_core.analysis.ablation.matrix import Cell, Matrix
from parrot_core.analysis.ablation.paper_tables import paper_tables
from parrot_core.analysis.likelihood.held_out_pairs import ModelName
from parrot_core.errors import RecipeError
from parrot_core.lake.lake import Lake
from parrot_core.lake.run import Run
from parrot_core.recipe import OpenAIEngine, Recipe, overridden
from parrot_core.stages.base import Stage
from parrot_core.stages.registry import STAGES, maker_of
from parrot_core.stages.training.stages import TrainStage


@dataclass(frozen=True, slots=True)
class CellPlan:
    """What one cell runs, with one seed."""

    name: str
    cell: str
    seed: int | None  # where the matrix has seeds
    label: str
    paper: str | None
    run: str
    recipe: Recipe
    makes: tuple[str, ...]  # stages, in order
    pins: Mapping[str, str]  # output: the run that makes it

    @property
    def model(self) -> ModelName | None:
        """The model of the lake that is evaluated; None for one from elsewhere."""
        (subject,) = self.recipe.evaluate.subjects.values()
        engine = self.recipe.engines[subject]
        if isinstance(engine, OpenAIEngine) or not engine.model.startswith("lake:"):
            return None
        name, _, version = engine.model.removeprefix("lake:").partition("@")
        return ModelName(name, version or self.recipe.inputs.get(name, self.run))

    def missing(self, lake: Lake) -> list[Stage]:
        """Stages that it makes and whose version isn't there yet, in order."""
        made = [stage for stage in STAGES if stage.name in self.makes]
        return [s for s in made if not lake.published(s.kind, s.output, self.run)]

    def engines(self, lake: Lake) -> list[str]:
        """Engines that the missing stages need."""
        run = Run(self.run, self.recipe, lake, Path())
        return sorted({name for stage in self.missing(lake) for name in stage.engines(run)})


@dataclass(frozen=True, slots=True)
class CellLineage:
    """What the outputs of a run come from."""

    run: Run

    def key(self, output: str) -> str:
        """A digest that two runs share exactly if their versions of ``output`` are the same."""
        return hashlib.sha256(json.dumps(self._identity(output)).encode()).hexdigest()

    def _identity(self, output: str) -> Any:
        recipe, stage = self.run.recipe, maker_of(output)
        if output in recipe.inputs or stage is None:
            return ["version", output, self.run.version_of(output)]
        canonical = recipe.canonical()
        paths = stage.settings_read or tuple(canonical)
        return [
            stage.name,
            recipe.seed,
            {path: _at(canonical, path) for path in paths},
            {name: canonical["engines"][name] for name in sorted(stage.engines(self.run))},
            {name: self._identity(name) for name in self.inputs(stage)},
        ]

    def inputs(self, stage: Stage) -> list[str]:
        """Outputs of other stages that a stage needs: datasets it reads, models it starts from."""
        models = [
            engine.model
            for name in stage.engines(self.run)
            if not isinstance(engine := self.run.recipe.engines[name], OpenAIEngine)
        ]
        if isinstance(stage, TrainStage):
            models.append(stage.base(self.run))
        own = [m.removeprefix("lake:") for m in models if m.startswith("lake:") and "@" not in m]
        return sorted({*stage.reads(self.run), *own})


def plan_ablation(
    matrix: Matrix, base: Recipe, lake: Lake, earlier: Iterable[Run] = ()
) -> list[CellPlan]:
    """Decide what each cell makes and what it takes from another one.

    Raises:
        RecipeError: a cell's settings don't make a recipe; names the cell.
    """
    owners: dict[str, str] = {}
    for run in earlier:
        lineage = CellLineage(run)
        for stage in STAGES:
            version = stage.version(run)
            if lake.published(stage.kind, stage.output, version):
                owners.setdefault(lineage.key(stage.output), version)
    return [
        _plan(cell, seed, matrix, base, lake, owners)
        for seed in matrix.seeds or (None,)
        for cell in matrix.cells
    ]


def _plan(
    cell_name: str,
    seed: int | None,
    matrix: Matrix,
    base: Recipe,
    lake: Lake,
    owners: dict[str, str],
) -> CellPlan:
    cell = matrix.cells[cell_name]
    name = cell_name if seed is None else f"{cell_name}-seed{seed}"
    run_name = f"{matrix.name}-{name}"
    label = label_of(matrix, cell_name)
    recipe = _recipe(matrix, name, cell, base, label, seed)
    lineage = CellLineage(Run(run_name, recipe, lake, Path()))
    pins: dict[str, str] = {}
    makes: list[str] = []

    def visit(output: str) -> None:
        stage = maker_of(output)
        if stage is None or output in recipe.inputs or stage.name in makes:
            return
        key = lineage.key(output)
        if owners.setdefault(key, run_name) != run_name:
            pins[output] = owners[key]
            return
        makes.append(stage.name)
        for each in lineage.inputs(stage):
            visit(each)

    for output in _wanted(matrix, cell, recipe):
        visit(output)
    order = [stage.name for stage in STAGES]
    pinned = recipe.model_copy(update={"inputs": {**recipe.inputs, **pins}})
    made = tuple(sorted(makes, key=order.index))
    return CellPlan(name, cell_name, seed, label, cell.paper, run_name, pinned, made, pins)


def _wanted(matrix: Matrix, cell: Cell, recipe: Recipe) -> list[str]:
    if matrix.judged:
        return ["judgments", *(["comparisons"] if recipe.evaluate.baseline is not None else [])]
    model = recipe.engines[cell.subject].model
    return [model.removeprefix("lake:").partition("@")[0]] if model.startswith("lake:") else []


def label_of(matrix: Matrix, name: str) -> str:
    """What a cell is called in the table and in its evaluation."""
    cell = matrix.cells[name]
    if cell.label is not None:
        return cell.label
    if cell.paper is not None and matrix.table is not None:
        return paper_tables().tables[matrix.table].rows[cell.paper].label
    return name


def _recipe(
    matrix: Matrix, name: str, cell: Cell, base: Recipe, label: str, seed: int | None
) -> Recipe:
    values = {
        **({} if seed is None else {"seed": seed}),
        "name": f"{matrix.name}-{name}",
        "description": f"Cell '{name}' of the ablation '{matrix.name}'.",
        "evaluate.baseline": None,
        "evaluate.subjects": {label: cell.subject},
        **matrix.set,
        **cell.set,
    }
    try:
        return overridden(
            base, tuple(f"{k}={json.dumps(v, default=str)}" for k, v in values.items())
        )
    except RecipeError as error:
        raise RecipeError(f"cell '{name}'", error.problems) from None


def _at(values: Any, path: str) -> Any:
    for part in path.split("."):
        values = values[part]
    return values
