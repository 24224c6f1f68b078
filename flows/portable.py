"""A recipe as workers can read it: they run elsewhere, so that no relative path may be left."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from parrot_core.errors import UserError
from parrot_core.recipe import Recipe, Source, VllmEngine
from parrot_core.stages.registry import STAGE_SPECS


def portable(recipe: Recipe) -> Recipe:
    """The recipe with every local path absolute.

    Raises:
        UserError: paths that lead nowhere on this machine.
    """
    lost = [f"{where}: {path}: no such file here" for where, path in _paths(recipe) if _lost(path)]
    if lost:
        hint = "workers read what the recipe names, so give a path or URL that they can reach"
        raise UserError(f"{'; '.join(lost)}; {hint}")
    return with_absolute_paths(recipe)


def with_absolute_paths(recipe: Recipe) -> Recipe:
    """The recipe with those local paths absolute that exist here."""
    sources = tuple(
        absolute(entry)
        if isinstance(entry, str)
        else entry.model_copy(update={"url": absolute(entry.url)})
        for entry in recipe.ingest.sources
    )
    engines = {
        name: engine.model_copy(update={"model": absolute(engine.model)})
        if isinstance(engine, VllmEngine)
        else engine
        for name, engine in recipe.engines.items()
    }
    evaluate = {"questions": absolute(recipe.evaluate.questions)}
    if recipe.evaluate.references:
        evaluate["references"] = absolute(recipe.evaluate.references)
    bases = {
        section: getattr(recipe, section).model_copy(update={"base": absolute(base)})
        for section in ("train_ask", "train_sft")
        if (base := getattr(recipe, section).base)
    }
    changed = {
        "lake": recipe.lake if _is_url(recipe.lake) else os.path.abspath(recipe.lake),
        "ingest": recipe.ingest.model_copy(update={"sources": sources}),
        "engines": engines,
        "evaluate": recipe.evaluate.model_copy(update=evaluate),
        **bases,
    }
    return recipe.model_copy(update=changed)


def absolute(reference: str) -> str:
    """A local path that exists, made absolute; anything else as it is."""
    if _is_url(reference) or not _base_of(reference).exists():
        return reference
    return os.path.abspath(reference)


def keys_wanted(recipe: Recipe, engines: Iterable[str] | None = None) -> list[str]:
    """Variables with API keys that workers of these engines, or of all, need."""
    wanted = recipe.engines if engines is None else engines
    names = (getattr(recipe.engines.get(name), "api_key_env", None) for name in wanted)
    return sorted({name for name in names if name})


def _paths(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Yield what can only be a local path and will be read, and its place in the recipe."""
    pinned = {spec.output for spec in STAGE_SPECS if spec.pinned(recipe.inputs)}
    for number, entry in enumerate(recipe.ingest.sources if "records" not in pinned else ()):
        yield f"ingest.sources.{number}", entry.url if isinstance(entry, Source) else entry
    yield "evaluate.questions", recipe.evaluate.questions
    if recipe.evaluate.references:
        yield "evaluate.references", recipe.evaluate.references
    models = {name: e.model for name, e in recipe.engines.items() if isinstance(e, VllmEngine)}
    models |= {"train_ask.base": recipe.train_ask.base or ""} if "parrot-ask" not in pinned else {}
    models |= {"train_sft.base": recipe.train_sft.base or ""} if "parrot-sft" not in pinned else {}
    for where, model in models.items():
        if model.startswith((".", "/", "~")):  # else a hub's id, or one of the lake
            yield where, model


def _lost(path: str) -> bool:
    return not _is_url(path) and not _base_of(path).exists()


def _base_of(path: str) -> Path:
    """What must exist: the path, or the folder above its first wildcard."""
    for place, part in enumerate(parts := Path(path).parts):
        if any(sign in part for sign in "*?[{"):
            return Path(*parts[:place]) if place else Path()
    return Path(path)


def _is_url(reference: str) -> bool:
    return "://" in reference or reference.startswith("lake:")
