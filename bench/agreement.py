"""How well verdicts agree with labels: precision and recall with Wilson intervals."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

_Z = 1.959964  # two-sided 95 %


@dataclass(frozen=True, slots=True)
class AgreementShare:
    """A share of a count, with its interval.

    Attributes:
        hits: how many.
        of: out of how many.
    """

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share; nan of nothing."""
        return self.hits / self.of if self.of else math.nan

    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % score interval (Wilson 1927); 0 to 1 of nothing."""
        if not self.of:
            return 0.0, 1.0
        spread = _Z * _Z / self.of
        middle = (self.value + spread / 2) / (1 + spread)
        half = math.sqrt(self.value * (1 - self.value) * spread + spread * spread / 4) / (
            1 + spread
        )
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class DetectorAgreement:
    """Verdicts against labels.

    Attributes:
        precision: of the queries called dependent, those that are.
        recall: of the dependent queries, those called so.
        false_alarms: of the self-contained queries, those called dependent.
    """

    precision: AgreementShare
    recall: AgreementShare
    false_alarms: AgreementShare


def score(pairs: Iterable[tuple[bool, bool]]) -> DetectorAgreement:
    """Compare verdicts with labels.

    Args:
        pairs: (label, verdict) of each query; an unreadable or absent verdict counts as False.
    """
    counted = list(pairs)
    found = sum(label and verdict for label, verdict in counted)
    positive = sum(label for label, _ in counted)
    called = sum(verdict for _, verdict in counted)
    return DetectorAgreement(
        precision=AgreementShare(found, called),
        recall=AgreementShare(found, positive),
        false_alarms=AgreementShare(called - found, len(counted) - positive),
    )
