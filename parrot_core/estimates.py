"""Estimates that several rooms make: bootstrap intervals, the area under a ROC curve, Cohen's κ."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

RESAMPLES = 500
_NUMBERS_AT_ONCE = 1 << 20
"""Most places that are drawn at once, so that memory stays flat over many sessions."""

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Seed = int | Sequence[int]
Ratio = tuple[Sequence[float], Sequence[float]]
"""Numerators and denominators, one of each a session."""


@dataclass(frozen=True, slots=True)
class IntervalEstimate:
    """A figure with its 95 % bootstrap interval over sessions, where it has one."""

    value: float | None
    low: float | None = None
    high: float | None = None


def resampled(figure: Callable[[Places], float], sessions: int, seed: Seed) -> IntervalEstimate:
    """A figure of all sessions, and its interval over resamples of them.

    Args:
        figure: of the sessions in these places; not a number where there is none.
        sessions: how many there are.
        seed: of the draws: two figures with the same seed see the same resamples.
    """
    if not sessions:
        return IntervalEstimate(None)
    rng = np.random.default_rng(seed)
    draws = RESAMPLES if sessions > 1 else 0
    drawn = [figure(rng.integers(0, sessions, sessions)) for _ in range(draws)]
    return _estimate(figure(np.arange(sessions)), np.array(drawn))


def ratio(part: Ratio, seed: Seed, resamples: int = RESAMPLES) -> IntervalEstimate:
    """Sum over sum with its interval.

    With denominators of 1 it is a mean over sessions; with queries a session as denominators, a
    mean over queries whose interval heeds that queries of a session resemble each other.
    """
    return _estimate(*_ratios(part, seed, resamples))


def ratio_difference(one: Ratio, other: Ratio, seed: Seed) -> IntervalEstimate:
    """A ratio less another over the same sessions, with its paired interval.

    A resample draws the same sessions for both, so that what makes a session hard for both
    cancels out.
    """
    (value, drawn), (less, drawn_less) = (_ratios(part, seed, RESAMPLES) for part in (one, other))
    return _estimate(value - less, drawn - drawn_less)


def compared(parts: Mapping[str, Ratio], seed: Seed) -> dict[str, Any]:
    """As JSON: the ratio of each, and by name ``less``, the first's less each other's, paired."""
    first, *others = parts
    less = {who: asdict(ratio_difference(parts[first], parts[who], seed)) for who in others}
    return {**{who: asdict(ratio(part, seed)) for who, part in parts.items()}, "less": less}


def _ratios(part: Ratio, seed: Seed, resamples: int) -> tuple[float, Floats]:
    """The ratio of all sessions, and that of each resample; not a number of nothing."""
    above, below = (np.asarray(each, dtype=np.float64) for each in part)
    sessions = len(above)
    rng = np.random.default_rng(seed)
    block = max(1, _NUMBERS_AT_ONCE // max(1, sessions))
    drawn = [
        _divided(above[taken].sum(axis=1), below[taken].sum(axis=1))
        for start in range(0, resamples if sessions > 1 else 0, block)
        for taken in [rng.integers(0, sessions, (min(block, resamples - start), sessions))]
    ]
    whole = _divided(above.sum(keepdims=True), below.sum(keepdims=True))
    return float(whole[0]), np.concatenate([*drawn, np.empty(0)])


def _divided(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)


def _estimate(value: float, drawn: Floats) -> IntervalEstimate:
    if np.isnan(value):
        return IntervalEstimate(None)
    return IntervalEstimate(float(value), *interval(drawn))


def interval(drawn: Floats) -> tuple[float | None, float | None]:
    """The 2.5 and 97.5 percentiles (Efron & Tibshirani 1993); of two numbers or more."""
    known = drawn[~np.isnan(drawn)]
    if len(known) < 2:
        return None, None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def area_under_curve(labels: npt.NDArray[np.int64], scores: Floats) -> float:
    """Chance that a positive scores above a negative, ties counted half (Mann-Whitney)."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    ranks = (below + (counts + 1) / 2)[inverse]
    positive = labels == 1
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return float("nan")
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def cohens_kappa(pairs: Iterable[tuple[Hashable, Hashable]]) -> float | None:
    """Agreement of two on the same things beyond chance (Cohen 1960).

    None where chance alone explains everything, or of nothing.
    """
    said = list(pairs)
    total = len(said)
    same = sum(one == other for one, other in said)
    left, right = Counter(one for one, _ in said), Counter(other for _, other in said)
    chance = sum(left[verdict] * right[verdict] for verdict in left)
    return (same * total - chance) / (total**2 - chance) if chance < total**2 else None
