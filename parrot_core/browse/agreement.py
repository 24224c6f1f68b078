"""How far two reviewers agree on the rows that both have marked."""

from collections.abc import Mapping
from dataclasses import dataclass

from parrot_core.estimates import cohens_kappa


@dataclass(frozen=True, slots=True)
class ReviewerAgreement:
    """Two reviewers on the same rows."""

    rows: int
    same: float  # share of the rows with one verdict
    kappa: float | None  # Cohen's; None where chance alone explains everything, or without rows


def agreement(one: Mapping[str, str], other: Mapping[str, str]) -> ReviewerAgreement:
    """Cohen's kappa of two reviewers, each with a verdict by row."""
    rows = one.keys() & other.keys()
    pairs = [(one[row], other[row]) for row in rows]
    same = sum(left == right for left, right in pairs)
    return ReviewerAgreement(len(rows), same / max(1, len(rows)), cohens_kappa(pairs))
