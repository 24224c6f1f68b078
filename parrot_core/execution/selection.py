"""Which stages of a recipe are wanted, and whether recipe and lake have what they need.

A part of the factory is run as the whole is: what the wanted stages don't read needn't be in the
recipe, and what they read and don't make must be in the lake.
"""

from collections.abc import Iterator, Sequence
from typing import get_args

from parrot_core.errors import RecipeError, UserError
from parrot_core.execution.runs import checked_name, is_published, work_folder
from parrot_core.lake.lake import Kind, Lake
from parrot_core.lake.run import Run
from parrot_core.recipe import Recipe, VllmEngine
from parrot_core.stages.base import Stage
from parrot_core.stages.registry import STAGES
from parrot_core.text.wording import did_you_mean


def run_to_be(recipe: Recipe, name: str | None) -> Run:
    """The run as it would be, to look at: nothing is begun."""
    lake = Lake(recipe.lake)
    run = checked_name(name or recipe.name)
    return Run(run, recipe, lake, work_folder(lake, run))


def selected(
    run: Run,
    only: Sequence[str] = (),
    first: str | None = None,
    last: str | None = None,
) -> tuple[Stage, ...]:
    """The stages that are wanted, in order.

    A stage that the recipe has no section for is left out, unless it is named or a wanted stage
    reads what it makes.

    Args:
        run: with the recipe, whose ``stages`` are wanted unless ``only`` says otherwise.
        only: names of the stages; empty for those of the recipe.
        first: none before this one.
        last: none after this one.

    Raises:
        UserError: no such stage, or none is left.
    """
    of_recipe = tuple(run.recipe.stages or ())
    for option, names in (
        ("stages", of_recipe),
        ("--only", only),
        ("--from", (first,) if first else ()),
        ("--until", (last,) if last else ()),
    ):
        for name in names:
            checked_stage(option, name)
    names = tuple(stage.name for stage in STAGES)
    begin = names.index(first) if first else 0
    end = names.index(last) if last else len(names)
    base = only or of_recipe or names
    chosen = [s for s in STAGES[begin : end + 1] if s.name in base and run.makes(s.name)]
    for option, bound in (("--from", first), ("--until", last)):
        if bound and bound not in base:
            where = "--only" if only else "the recipe's stages"
            raise UserError(f"{option} {bound}: not among {where} ({', '.join(base)})")
    if not chosen:
        raise UserError("no stage is left between --from and --until")
    named = {*only, *of_recipe, first, last}
    return tuple(_without_unused(run, chosen, named))


def checked_stage(option: str, name: str) -> None:
    """Raise UserError unless there is a stage of that name."""
    names = [stage.name for stage in STAGES]
    if name not in names:
        hint = did_you_mean(name, names)
        raise UserError(f"{option}: no stage '{name}'; there are: {', '.join(names)}{hint}")


def _without_unused(run: Run, chosen: list[Stage], named: set[str | None]) -> list[Stage]:
    """Leave out stages that have no section and whose output nobody reads."""
    while True:
        read = {name for stage in chosen for name in stage.reads(run)}
        unused = [
            stage
            for stage in chosen
            if stage.name not in named and stage.output not in read and stage.lacks(run.recipe)
        ]
        if not unused:
            return chosen
        chosen = [stage for stage in chosen if stage not in unused]


def check_selection(run: Run, wanted: Sequence[Stage]) -> None:
    """See that the recipe has the sections and engines of all stages that are to do.

    And that what they read is made by one of them, or in the lake.

    Raises:
        RecipeError: what is missing, and what to do about it.
    """
    to_do = [stage for stage in wanted if not is_published(run, stage)]
    problems = [problem for stage in to_do for problem in _problems(run, stage, wanted)]
    if problems:
        raise RecipeError(f"run '{run.name}'", problems)


def _problems(run: Run, stage: Stage, wanted: Sequence[Stage]) -> Iterator[str]:
    recipe = run.recipe
    if lacking := stage.lacks(recipe):
        readers = [s.name for s in wanted if s is not stage and stage.output in s.reads(run)]
        why = f" ({', '.join(readers)} reads its {stage.output})" if readers else ""
        yield (
            f"stage {stage.name}{why} needs {lacking}, which the recipe doesn't set; set it, pin "
            f"{stage.output} under inputs, or leave the stage out (--only, --from, --until, stages)"
        )
    for engine in dict.fromkeys(stage.engines(run)):
        if engine not in recipe.engines:
            have = ", ".join(sorted(recipe.engines)) or "none"
            hint = did_you_mean(engine, recipe.engines)
            yield f"stage {stage.name} asks engine '{engine}', but engines has: {have}{hint}"
    yield from without_room(run, stage)
    made = {each.output for each in wanted}
    for name in stage.reads(run):
        version = run.version_of(name)
        pinned = version != run.name
        if (name in made and not pinned) or _is_in_lake(run, name, version):
            continue
        maker = next((each.name for each in STAGES if each.output == name), "")
        there = [m.version for m in run.lake.versions() if m.name == name]
        have = f"pin one under inputs ({', '.join(there[:5])})" if there else "import one"
        run_it = f"run {maker} too, or " if maker and not pinned else ""
        yield f"stage {stage.name} reads {name}@{version}, which isn't in the lake; {run_it}{have}"


def without_room(run: Run, stage: Stage) -> Iterator[str]:
    """Limits of a completion that leave no room for a prompt in their engine's context."""
    for use in stage.uses(run):
        engine = run.recipe.engines.get(use.engine)
        if isinstance(engine, VllmEngine) and use.sampling.max_tokens >= engine.max_model_len:
            yield (
                f"{use.setting}.max_tokens is {use.sampling.max_tokens:,}, but the whole context "
                f"of engine '{use.engine}' (max_model_len) is {engine.max_model_len:,} tokens"
            )


def _is_in_lake(run: Run, name: str, version: str) -> bool:
    return any(run.lake.published(kind, name, version) for kind in get_args(Kind))
