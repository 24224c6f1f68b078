"""How far two reviewers agree on the rows that both have marked."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReviewerAgreement:
    """Two reviewers on the same rows."""

    rows: int
    same: float  # share of the rows with one verdict
    kappa: float | None  # Cohen's; None where chance alone explains everything, or without rows


def agreement(one: Mapping[str, str], other: Mapping[str, str]) -> ReviewerAgreement:
    """Cohen's kappa of two reviewers, each with a verdict by row."""
    rows = one.keys() & other.keys()
    total = len(rows)
    if not total:
        return ReviewerAgreement(0, 0.0, None)
    same = sum(one[row] == other[row] for row in rows) / total
    left, right = Counter(one[row] for row in rows), Counter(other[row] for row in rows)
    chance = sum(left[verdict] * right[verdict] for verdict in left) / total**2
    return ReviewerAgreement(total, same, (same - chance) / (1 - chance) if chance < 1 else None)
