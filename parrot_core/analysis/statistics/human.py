"""Human-likeness: how well a small classifier tells follow-up queries from human ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from parrot_core.analysis.statistics.sampling import Draw, lot
from parrot_core.analysis.statistics.session import Session
from parrot_core.analysis.statistics.values import Figure, Found
from parrot_core.errors import UserError
from parrot_core.estimates import RESAMPLES, Floats, area_under_curve, interval
from parrot_core.text.similarity import tokens

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

QUERIES = 2000
"""Most queries of each side."""
SESSIONS = 4000
QUERY_CHARS = 2000
FOLDS = 5
FEWEST_SESSIONS = 2 * FOLDS
"""Sessions of each side below which nothing is said."""

DESCRIPTION = (
    "A logistic regression over word 1-2-grams and character 2-4-grams learns to tell follow-up "
    "queries from those of held-out human sessions, as many of each, matched by length (bins of a "
    "factor of two in tokens), and is scored on sessions that it hasn't seen (5 folds). The area "
    "under its ROC curve: 0.5 is no better than chance, 1 is always right. The interval is a "
    "bootstrap over sessions."
)

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class QueryInContext:
    """A query of turn 2 or later; ``session`` is the whole one that a part belongs to."""

    session: str
    text: str


class FollowUps:
    """A bounded sample of the sessions of one side."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._drawn: Draw[tuple[str, tuple[str, ...]]] = Draw(SESSIONS, seed, "human")

    def add(self, session: Session) -> None:
        """Keep the beginnings of its follow-up queries, if it is drawn."""
        if session.turns > 1:
            texts = tuple(query[:QUERY_CHARS] for query in session.queries[1:])
            self._drawn.offer(session.id, (session.whole, texts))

    def queries(self) -> list[QueryInContext]:
        return [QueryInContext(id, text) for id, texts in self._drawn.items() for text in texts]


def human_likeness(ours: FollowUps, human: FollowUps, seed: int) -> Found:
    """Train and score the classifier.

    Raises:
        UserError: scikit-learn isn't installed.
    """
    _need_sklearn()
    pairs = _matched(ours.queries(), human.queries(), seed)
    texts = [query.text for side in pairs for query in side]
    groups = [query.session for side in pairs for query in side]
    labels = np.repeat(np.array([1, 0]), [len(side) for side in pairs])
    n = len(pairs[0])
    fewest = min(len({query.session for query in side}) for side in pairs)
    if fewest < FEWEST_SESSIONS:
        return Found(
            figures=(_figure(None, None, None, n),),
            notes=(
                f"human-likeness: {fewest} sessions with matching follow-ups on one side, "
                f"{FEWEST_SESSIONS} are needed",
            ),
        )
    folds = _scored(texts, labels, groups, seed)
    value = _mean_area(folds)
    low, high = _interval(folds, seed)
    return Found(figures=(_figure(value, low, high, n),))


def available() -> bool:
    """Whether scikit-learn is installed."""
    from importlib.util import find_spec

    return find_spec("sklearn") is not None


def _need_sklearn() -> None:
    if not available():
        raise UserError(
            "human-likeness needs scikit-learn: pip install 'parrot-factory[stats]', or leave it "
            "out with --no-human"
        )


def _figure(value: float | None, low: float | None, high: float | None, n: int) -> Figure:
    return Figure(
        name="human_auc",
        title="told from human follow-ups (AUC, 0.5: can't be told)",
        value=value,
        low=low,
        high=high,
        n=n,
        of="follow-up queries a side",
    )


def _matched(
    ours: Sequence[QueryInContext], human: Sequence[QueryInContext], seed: int
) -> tuple[list[QueryInContext], list[QueryInContext]]:
    """As many queries of each side in every length bin, at most QUERIES in all."""
    sides = [_by_length(ours), _by_length(human)]
    shared = {b: min(len(sides[0].get(b, ())), len(sides[1].get(b, ()))) for b in sides[0]}
    scale = min(1.0, QUERIES / max(1, sum(shared.values())))
    taken: tuple[list[QueryInContext], list[QueryInContext]] = ([], [])
    for length, count in sorted(shared.items()):
        wanted = round(count * scale)
        for place, side in enumerate(sides):
            draw: Draw[QueryInContext] = Draw(wanted, seed, f"match {place}")
            for position, query in enumerate(side.get(length, ()) if wanted else ()):
                draw.offer(f"{query.session}/{position}", query)
            taken[place].extend(draw.items())
    return taken


def _by_length(queries: Sequence[QueryInContext]) -> dict[int, list[QueryInContext]]:
    bins: dict[int, list[QueryInContext]] = {}
    for query in queries:
        length = len(tokens(query.text))
        if length:
            bins.setdefault(length.bit_length(), []).append(query)
    return bins


@dataclass(frozen=True, slots=True)
class _Fold:
    """Scores of one held-out fold, by session: what the bootstrap draws."""

    labels: Labels
    scores: Floats
    sessions: npt.NDArray[np.int64]


def _scored(texts: Sequence[str], labels: Labels, groups: Sequence[str], seed: int) -> list[_Fold]:
    from sklearn.model_selection import StratifiedGroupKFold

    numbers = np.unique(np.array(groups), return_inverse=True)[1]
    split = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    given = np.array(texts, dtype=object)
    folds = []
    for train, test in split.split(given, labels, numbers):
        model = _classifier()
        model.fit(given[train], labels[train])
        scores = np.asarray(model.decision_function(given[test]), dtype=np.float64)
        folds.append(_Fold(labels[test], scores, numbers[test]))
    return folds


def _classifier() -> "Pipeline":
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    # Terms of one query say nothing of another; in a small set, leaving them out leaves too little.
    common: dict[str, Any] = {"sublinear_tf": True, "min_df": 2, "max_features": 50_000}
    words = TfidfVectorizer(
        analyzer="word", token_pattern=r"(?u)\w+|[^\w\s]", ngram_range=(1, 2), **common
    )
    chars = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), lowercase=False, **common)
    return make_pipeline(make_union(words, chars), LogisticRegression(C=1.0, max_iter=1000))


def _mean_area(folds: Sequence[_Fold]) -> float:
    """Mean over folds: scores of different classifiers aren't compared with each other."""
    return float(np.nanmean([area_under_curve(fold.labels, fold.scores) for fold in folds]))


def _interval(folds: Sequence[_Fold], seed: int) -> tuple[float | None, float | None]:
    rng = np.random.default_rng(lot(seed, "bootstrap", "human") % 2**63)
    means = []
    members = [
        [np.flatnonzero(fold.sessions == session) for session in np.unique(fold.sessions)]
        for fold in folds
    ]
    for _ in range(RESAMPLES):
        drawn = []
        for fold, sessions in zip(folds, members, strict=True):
            taken = rng.integers(0, len(sessions), len(sessions))
            rows = np.concatenate([sessions[place] for place in taken])
            drawn.append(area_under_curve(fold.labels[rows], fold.scores[rows]))
        if not np.all(np.isnan(drawn)):
            means.append(float(np.nanmean(drawn)))
    return interval(np.array(means))
