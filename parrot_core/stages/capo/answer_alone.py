"""Can chosen and rejected answers be told apart without their context?

A linear classifier that sees the answer alone, cross-validated: where its AUC is far above a half,
a pair teaches style. Both answers of a pair are in one fold, and nothing is drawn by chance.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from parrot_core.estimates import area_under_curve
from parrot_core.lake.manifest import Receipt
from parrot_core.text.similarity import tokens

FEWEST_PAIRS = 8
"""A classifier that learned from fewer says nothing."""
_FOLDS = 4
_SLOTS = 1 << 12
_WORDS = 200
_RIDGE = 1.0


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean and of how many; shards add up."""

    total: float = 0.0
    number: int = 0

    @classmethod
    def of(cls, values: Iterable[float]) -> "Mean":
        found = list(values)
        return cls(sum(found), len(found))

    @classmethod
    def over(cls, receipts: Iterable[Receipt], *path: str) -> "Mean":
        """Over the shards, of a metric as :meth:`to_json` gave it."""
        mean = cls()
        for receipt in receipts:
            found = receipt.metrics
            for name in path:
                found = found.get(name) or {}
            if found:
                mean = cls(mean.total + found["total"], mean.number + found["number"])
        return mean

    @property
    def rounded(self) -> float | None:
        """None of nothing."""
        return round(self.total / self.number, 4) if self.number else None

    def to_json(self) -> dict[str, float]:
        return {"total": self.total, "number": self.number}


def auc_of(pairs: Sequence[tuple[str, str]]) -> dict[str, float] | None:
    """How well the classifier tells the sides of a shard's pairs apart, as a :class:`Mean`.

    Args:
        pairs: chosen and rejected texts.

    Returns:
        The AUC times the pairs, and their number; None for fewer than 8 pairs.
    """
    if len(pairs) < FEWEST_PAIRS:
        return None
    texts = [text for pair in pairs for text in pair]
    features = np.stack([_features(text) for text in texts])
    sides = np.tile([1.0, -1.0], len(pairs))
    folds = np.repeat(np.arange(len(pairs)) % _FOLDS, 2)
    scores = np.empty(len(texts))
    for fold in range(_FOLDS):
        known, asked = features[folds != fold], features[folds == fold]
        # Ridge regression in its dual form: as many unknowns as texts.
        kernel = known @ known.T + _RIDGE * np.eye(len(known))
        scores[folds == fold] = asked @ (known.T @ np.linalg.solve(kernel, sides[folds != fold]))
    return {"total": area_under_curve(sides, scores) * len(pairs), "number": len(pairs)}


def _features(text: str) -> NDArray[np.float64]:
    """Hashed words and pairs of words of a text's beginning, and how long it is."""
    words = tokens(text)[:_WORDS]
    found = np.zeros(_SLOTS + 1)
    for name in (*words, *map(" ".join, pairwise(words))):
        found[zlib.crc32(name.encode("utf-8", "replace")) % _SLOTS] = 1.0
    length = float(np.linalg.norm(found))
    found /= length or 1.0
    found[_SLOTS] = np.log1p(len(text.split())) / 4
    return found
