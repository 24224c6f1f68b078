"""Compute the statistics of a set of sessions: one pass, memory flat, exact in the seed."""

from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from parrot_core.analysis.statistics import human
from parrot_core.analysis.statistics.measures import Measure, offline_measures
from parrot_core.analysis.statistics.processes import Read, read_each
from parrot_core.analysis.statistics.reading import SessionSet, digest
from parrot_core.analysis.statistics.sampling import Draw
from parrot_core.analysis.statistics.session import Session
from parrot_core.analysis.statistics.tokens import WORDS, counter_of
from parrot_core.analysis.statistics.values import Found, Statistics
from parrot_core.telemetry.progress import SILENT, ProgressReporter
from parrot_core.version import __version__

REVISION = 2
"""Raise it when a definition changes: kept statistics of earlier definitions aren't read again."""


@dataclass(frozen=True, slots=True)
class Options:
    """What may be chosen; all of it is in the fingerprint of kept statistics."""

    seed: int = 42
    sample: int | None = None  # sessions to measure; None measures all
    tokenizer: str = WORDS


def fingerprint(sessions: SessionSet, reference: SessionSet | None, options: Options) -> str | None:
    """What the statistics rest on; None when the set can't say whether it has changed."""
    if sessions.identity is None or (reference is not None and reference.identity is None):
        return None
    other = reference.identity if reference else None
    given = (options.seed, options.sample, options.tokenizer)
    code = (REVISION, __version__, human.available())
    return digest(sessions.identity, other, given, code)


def compute(
    sessions: SessionSet,
    options: Options = Options(),
    reference: SessionSet | None = None,
    reporter: ProgressReporter = SILENT,
    compared: SessionSet | None = None,
    processes: int = 1,
) -> Statistics:
    """Measure a set of sessions.

    Args:
        reference: held-out human sessions to tell its follow-up queries from; None leaves
            human-likeness out.
        compared: what is told from the reference, where that isn't all of ``sessions``.
        processes: how many may read sessions at once, where those are many. A script that asks for
            more than one needs its ``if __name__ == "__main__"``, for they import it.

    Raises:
        UserError: human-likeness is asked for and scikit-learn isn't installed.
        StorageError, SourceError: the sessions can't be read.
    """
    reporter.step(f"reading {sessions.label}", sessions.total)
    ours = human.FollowUps(options.seed)
    counted = _Count(offline_measures(options.seed, counter_of(options.tokenizer)))
    followed = reference is not None and compared is None
    stream: Iterable[Session] = sessions.sessions(reporter.progress)
    drawn = (
        None if options.sample is None else Draw[Session](options.sample, options.seed, "sample")
    )
    if drawn is not None:
        for session in stream:
            counted.sessions += 1
            drawn.offer(session.id, session)
        stream = drawn.items()
    with closing(read_each(stream, options.seed, options.tokenizer, processes)) as readings:
        for session, read in readings:
            counted.measure(session, read)
            if followed:
                ours.add(session)
    if drawn is None:
        counted.sessions = counted.measured
    found = counted.found(reporter)
    if reference is not None:
        found.append(_likeness(ours, compared, reference, options.seed, reporter))
    return Statistics(
        label=sessions.label,
        sessions=counted.sessions,
        measured=counted.measured,
        seed=options.seed,
        tokenizer=options.tokenizer,
        left_out=sessions.left_out(),
        languages=dict(counted.languages.most_common()),
        figures=tuple(figure for each in found for figure in each.figures),
        curves=tuple(curve for each in found for curve in each.curves),
        notes=(*sessions.warnings(), *(note for each in found for note in each.notes)),
        human=reference.label if reference is not None else None,
    )


def _likeness(
    ours: human.FollowUps,
    compared: SessionSet | None,
    reference: SessionSet,
    seed: int,
    reporter: ProgressReporter,
) -> Found:
    reporter.step(f"telling its queries from those of {reference.label}", None)
    if compared is not None:
        for session in compared.sessions(lambda _: None):
            ours.add(session)
    theirs = human.FollowUps(seed)
    for session in reference.sessions(lambda _: None):
        theirs.add(session)
    return human.human_likeness(ours, theirs, seed)


class _Count:
    """All offline measures over one stream."""

    def __init__(self, measures: tuple[Measure, ...]) -> None:
        self._measures = measures
        self.sessions = 0
        self.measured = 0
        self.languages: Counter[str] = Counter()

    def measure(self, session: Session, read: Read) -> None:
        self.measured += 1
        self.languages[session.language or "unknown"] += 1
        for measure, its_own in zip(self._measures, read, strict=True):
            measure.add(session, its_own)

    def found(self, reporter: ProgressReporter) -> list[Found]:
        found = []
        for measure in self._measures:
            reporter.step(f"working out {measure.name}", None)
            found.append(measure.found())
        return found
