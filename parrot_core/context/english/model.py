"""The English model: a weight for each hashed feature, and their sum against a threshold.

``bench/context_training.py`` makes the weights; docs/explanation/context-dependence.md says from
which data, and README.md beside this file under which licence.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from parrot_core.context.english.features import features
from parrot_core.context.query import Query

WEIGHTS = "weights.npz"


@dataclass(frozen=True, slots=True)
class LinearModel:
    """A logistic regression over hashed features.

    Attributes:
        weights: one a slot of the hash table.
        bias: the score of a query without features.
        threshold: from which score on a query depends on its context.
    """

    weights: NDArray[np.float32]
    bias: float
    threshold: float

    def depends(self, query: Query) -> bool:
        """Whether the score of a query reaches the threshold."""
        return self.score(query) >= self.threshold

    def score(self, query: Query) -> float:
        """The log odds that a query depends on its context."""
        slots = feature_slots(query, len(self.weights))
        return self.bias + float(self.weights[slots].sum())


def feature_slots(query: Query, size: int) -> list[int]:
    """The slots of a query's features in a table of that size, each once."""
    return sorted({crc32(name.encode("utf-8", "replace")) % size for name in features(query)})


@cache
def trained_model() -> LinearModel:
    """The model that ships with the package, read once."""
    with as_file(files(__package__) / WEIGHTS) as path, np.load(path) as stored:
        return LinearModel(
            weights=stored["weights"].astype(np.float32),
            bias=float(stored["bias"]),
            threshold=float(stored["threshold"]),
        )
