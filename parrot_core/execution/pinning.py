"""Regeneration from a stage on: what earlier stages made is taken from an earlier run."""

from parrot_core.errors import MissingVersion
from parrot_core.execution.runs import open_run
from parrot_core.execution.selection import checked_stage
from parrot_core.lake.lake import Lake
from parrot_core.recipe import Recipe
from parrot_core.stages.registry import STAGES


def pinned_before(recipe: Recipe, stage: str, run: str) -> Recipe:
    """A recipe that takes the outputs of all stages before ``stage`` from the run ``run``.

    What that run had itself taken from another run is taken from there. Pins that the recipe
    holds already are kept: they are the more particular wish.

    Raises:
        UserError: no such stage.
        MissingRun: the lake has no such run.
        MissingVersion: the run hasn't published what an earlier stage makes.
    """
    checked_stage("--from", stage)
    names = [each.name for each in STAGES]
    earlier = open_run(Lake(recipe.lake), run)
    pins = dict(recipe.inputs)
    before = STAGES[: names.index(stage)]
    taken = dict.fromkeys((each.output for each in before), run)
    for each in before:
        if each.output in pins:
            continue
        version = each.spec.pinned(earlier.recipe.inputs) or run
        if not earlier.lake.published(each.kind, each.output, version):
            if each.only_for in taken:
                continue
            published = [m.version for m in earlier.lake.versions() if m.name == each.output]
            raise MissingVersion(each.output, version, published)
        pins[each.output] = version
    return recipe.model_copy(update={"inputs": pins})
