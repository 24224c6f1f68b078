"""Turns a session: mean and distribution."""

from collections import Counter
from typing import ClassVar

from parrot_core.analysis.statistics.measures.measure import Measure, Ratio
from parrot_core.analysis.statistics.session import Session
from parrot_core.analysis.statistics.values import Curve, CurvePoint, Found

LONGEST = 20
"""Sessions of so many turns or more share the last place of the distribution."""
SHORT = 3


class Turns(Measure):
    """See ``description``."""

    name: ClassVar[str] = "turns"
    description: ClassVar[str] = (
        "A turn is one user query with its response. The mean over sessions, and the share of "
        f"sessions of at most {SHORT} turns (about 60 % of ShareGPT, says the paper)."
    )

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._mean = Ratio()
        self._short = Ratio()
        self._counts: Counter[int] = Counter()

    def add(self, session: Session, read: None) -> None:
        self._mean.add(session.turns)
        self._short.add(session.turns <= SHORT)
        self._counts[min(session.turns, LONGEST)] += 1

    def found(self) -> Found:
        """Mean, share of short sessions, distribution."""
        total = self._counts.total()
        points = tuple(
            CurvePoint(x=turns, value=self._counts[turns] / total, n=self._counts[turns])
            for turns in range(1, max(self._counts, default=0) + 1)
        )
        title = f"share of sessions by turns ({LONGEST}: {LONGEST} or more)"
        return Found(
            figures=(
                self._mean.figure("turns", "turns a session", self._seed),
                self._short.figure(
                    "short_sessions",
                    f"sessions of at most {SHORT} turns",
                    self._seed,
                    unit="share",
                ),
            ),
            curves=(
                Curve(name="turns", title=title, x_title="turns", unit="share", points=points),
            ),
        )
