"""Bootstrap intervals of any figure over the same sessions, for one writer or several at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from parrot_core.analysis.statistics.sampling import RESAMPLES

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class IntervalEstimate:
    """A figure with its 95 % bootstrap interval over sessions, where it has one."""

    value: float | None
    low: float | None = None
    high: float | None = None


def resampled(figure: Callable[[Places], float], sessions: int, seed: int) -> IntervalEstimate:
    """A figure of all sessions, and its interval over resamples of them.

    Args:
        figure: of the sessions in these places; not a number where there is none.
        sessions: how many there are.
        seed: of the draws: two figures with the same seed see the same resamples.
    """
    value = figure(np.arange(sessions)) if sessions else float("nan")
    if np.isnan(value):
        return IntervalEstimate(None)
    if sessions < 2:
        return IntervalEstimate(value)
    rng = np.random.default_rng(seed)
    drawn = np.array([figure(rng.integers(0, sessions, sessions)) for _ in range(RESAMPLES)])
    if np.isnan(drawn).all():
        return IntervalEstimate(value)
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return IntervalEstimate(value, float(low), float(high))
