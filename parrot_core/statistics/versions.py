"""Statistics of what a lake holds: read where they are kept, else computed and kept."""

from pydantic import ValidationError

from parrot_core.errors import StorageError
from parrot_core.lake.kept_statistics import keep, read_kept
from parrot_core.lake.lake import Lake
from parrot_core.statistics import human
from parrot_core.statistics.compute import Options, Told, compute, fingerprint
from parrot_core.statistics.reading import (
    SessionSet,
    VersionSessions,
    human_reference,
    open_sessions,
    without_heldout,
)
from parrot_core.statistics.values import Statistics

NO_SKLEARN = "human-likeness was left out: it needs scikit-learn (the extra 'stats')"


def statistics_of(
    lake: Lake,
    what: str,
    options: Options = Options(),  # noqa: B008 - frozen
    human_set: str | None = None,
    told: Told = Told(),  # noqa: B008 - frozen
) -> Statistics:
    """Statistics of ``NAME[@VERSION][:SPLIT]``, or of a file, folder or URL.

    Those of a version are kept in the lake, under a fingerprint of the version, the human set,
    the options and the code, and read from there the next time.

    Args:
        lake: where versions are, and where their statistics are kept.
        what: what to measure.
        options: seed, sample, tokenizer.
        human_set: what its queries are told from, named like ``what``. Without it, the held-out
            conversations that a version's lineage leads to, and no human-likeness for a file.
            An empty text leaves human-likeness out.
        told: hears of the progress.

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
    found = compute(
        sessions, options, reference, told, compared if compared is not sessions else None
    )
    if left_out:
        found = found.model_copy(update={"notes": (*found.notes, NO_SKLEARN)})
    if key is not None and isinstance(sessions, VersionSessions):
        found = _keep(lake, sessions, key, found)
    return found


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
