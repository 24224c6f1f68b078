"""Statistics of what a lake holds: read where they are kept, else computed and kept."""

from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from parrot_core.analysis.statistics import human
from parrot_core.analysis.statistics.compute import Options, compute, fingerprint
from parrot_core.analysis.statistics.judge import STAGE, judged
from parrot_core.analysis.statistics.perplexity import QUERIES, asker_likeness
from parrot_core.analysis.statistics.reading import (
    SessionSet,
    VersionSessions,
    human_reference,
    open_sessions,
    without_heldout,
)
from parrot_core.analysis.statistics.values import Statistics
from parrot_core.errors import StorageError, UserError
from parrot_core.execution.runs import open_run, work_folder
from parrot_core.lake.kept_statistics import all_kept, keep, read_kept
from parrot_core.lake.lake import Lake
from parrot_core.lake.run import Run
from parrot_core.recipe import Recipe
from parrot_core.telemetry.progress import SILENT, ProgressReporter

NO_SKLEARN = "human-likeness was left out: it needs scikit-learn (the extra 'stats')"


def statistics_of(
    lake: Lake,
    what: str,
    options: Options = Options(),  # noqa: B008 - frozen
    human_set: str | None = None,
    reporter: ProgressReporter = SILENT,
    processes: int = 1,
) -> Statistics:
    """Statistics of ``NAME[@VERSION][:SPLIT]``, or of a file, folder or URL.

    Those of a version are kept in the lake, under a fingerprint of the version, the human set,
    the options and the code, and read from there the next time.

    Args:
        lake: where versions are, and where their statistics are kept.
        human_set: what its queries are told from, named like ``what``. Without it, the held-out
            conversations that a version's lineage leads to, and no human-likeness for a file.
            An empty text leaves human-likeness out.
        processes: see :func:`~parrot_core.analysis.statistics.compute.compute`.

    Raises:
        UserError: nothing of that name, or one without sessions.
    """
    sessions = open_sessions(lake, what)
    reference = _reference(lake, sessions, human_set)
    left_out = reference is not None and human_set is None and not human.available()
    if left_out:
        reference = None
    compared = without_heldout(lake, sessions) if reference is not None else sessions
    key = fingerprint(sessions, reference, options)
    if key is not None and isinstance(sessions, VersionSessions):
        kept = _kept(lake, sessions, key)
        if kept is not None:
            return kept
    told_from = compared if compared is not sessions else None
    found = compute(sessions, options, reference, reporter, told_from, processes)
    if left_out:
        found = found.model_copy(update={"notes": (*found.notes, NO_SKLEARN)})
    if key is not None and isinstance(sessions, VersionSessions):
        found = _keep(lake, sessions, key, found)
    return found


def best_kept(lake: Lake, name: str, version: str) -> Statistics | None:
    """What is known of a version without working anything out: of the most sessions, if several.

    Statistics of a split of it don't count, nor what other code kept in another format.
    """
    found = []
    for value in all_kept(lake.storage, name, version):
        with suppress(ValidationError):
            found.append(Statistics.model_validate(value))
    whole = [each for each in found if each.label == f"{name}@{version}"]
    return max(whole, key=lambda each: (each.measured, len(each.figures)), default=None)


def _reference(lake: Lake, sessions: SessionSet, human_set: str | None) -> SessionSet | None:
    if human_set is None:
        return human_reference(lake, sessions)
    return open_sessions(lake, human_set) if human_set else None


def _kept(lake: Lake, sessions: VersionSessions, key: str) -> Statistics | None:
    manifest = sessions.manifest
    value = read_kept(lake.storage, manifest.name, manifest.version, key)
    if value is None:
        return None
    try:
        return Statistics.model_validate(value)
    except ValidationError:  # kept by other code: worked out anew
        return None


def _keep(lake: Lake, sessions: VersionSessions, key: str, found: Statistics) -> Statistics:
    manifest = sessions.manifest
    value = found.model_dump(mode="json")
    try:
        keep(lake.storage, manifest.name, manifest.version, key, value)
    except StorageError as error:  # a lake that we may only read: slower the next time
        return found.model_copy(update={"notes": (*found.notes, f"not kept: {error}")})
    return found


def with_asker(
    lake: Lake,
    what: str,
    found: Statistics,
    asker: str,
    human_set: str | None,
    cache: Path,
    queries: int = QUERIES,
    reporter: ProgressReporter = SILENT,
) -> Statistics:
    """Add how surprised an asker is by the queries of a set, and by human ones.

    Args:
        asker: ``NAME[@VERSION]`` of a model in the lake, or a folder.

    Raises:
        UserError: no such model, or what it needs isn't installed.
    """
    sessions = open_sessions(lake, what)
    reference = _reference(lake, sessions, human_set)
    folder = _asker_folder(lake, asker, cache)
    more = asker_likeness(folder, asker, sessions, reference, found.seed, queries, reporter)
    return found.model_copy(
        update={
            "figures": (*found.figures, *more.figures),
            "notes": (*found.notes, *more.notes),
            "human": found.human or (reference.label if reference else None),
        }
    )


def _asker_folder(lake: Lake, asker: str, cache: Path) -> Path:
    if Path(asker).is_dir():
        return Path(asker)
    name, _, version = asker.partition("@")
    models = [m for m in lake.versions() if m.kind == "model" and m.name == name]
    if not models:
        raise UserError(f"--asker {asker}: no such folder, and no such model in {lake.url}")
    return lake.model(name, version or models[0].version).local_copy(cache)


def with_judge(
    lake: Lake, what: str, found: Statistics, engine: str, recipe: Recipe | None, limit: int
) -> Statistics:
    """Add an LLM judge's view on which queries depend on context, and how it agrees with rules.

    Args:
        lake: where versions are, and where the judge's answers are journaled.
        recipe: where the engine is; None takes the recipe of the version's run.

    Raises:
        UserError: no recipe, or no such engine in it.
        EngineError: the engine can't be reached, or the budget is reached.
    """
    sessions = open_sessions(lake, what)
    name = sessions.manifest.run if isinstance(sessions, VersionSessions) else STAGE
    if recipe is None and not isinstance(sessions, VersionSessions):
        raise UserError(f"--judge: say which recipe has the engine for {what} (--recipe)")
    run = (
        open_run(lake, name) if recipe is None else Run(name, recipe, lake, work_folder(lake, name))
    )
    agreed = judged(run, engine, sessions, limit, found.seed)
    figures = (*found.figures, agreed.judged_per_session)
    return found.model_copy(update={"agreement": agreed, "figures": figures})
