"""How varied a writer is: over samples of one context, and over contexts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from parrot_core.estimates import Places, Ratio, compared, resampled
from parrot_core.text.similarity import tokens

HEAD = 12
"""Words of a sample that count: a long text repeats words for its length alone."""
WINDOW = 50


def diversity(
    samples: Mapping[str, Sequence[Sequence[str]]], human: Sequence[str], seed: int
) -> dict[str, Any]:
    """Distinct n-grams over a context's samples, and MATTR over all contexts.

    Args:
        samples: by writer, the samples of each context.
        human: people's own follow-ups in the same contexts.
        seed: of the intervals.

    Returns:
        ``distinct_1`` and ``distinct_2``: by writer the share of different n-grams among those of a
        context's samples, with ``less``: the first writer's less each other's, paired. ``mattr``:
        moving-average type-token ratio of the first samples laid end to end (Covington and McFall
        2010), the human's too, with ``nearer``: the first writer's distance from the human's
        less each other's, so that less than 0 is nearer.
    """
    found: dict[str, Any] = {}
    for order in (1, 2):
        parts = {who: _distinct(said, order) for who, said in samples.items()}
        found[f"distinct_{order}"] = compared(parts, seed)
    words = {
        who: [tokens(each[0]) if each else [] for each in said] for who, said in samples.items()
    }
    words["human"] = [tokens(text) for text in human]
    found["mattr"] = _mattr_of_all(words, seed)
    return found


def _distinct(contexts: Sequence[Sequence[str]], order: int) -> Ratio:
    above, below = [], []
    for samples in contexts:
        heads = [tokens(text)[:HEAD] for text in samples]
        grams = [
            tuple(head[place : place + order])
            for head in heads
            for place in range(len(head) - order + 1)
        ]
        above.append(float(len(set(grams))))
        below.append(float(len(grams)))
    return above, below


def _mattr_of_all(words: Mapping[str, Sequence[Sequence[str]]], seed: int) -> dict[str, Any]:
    count = len(words["human"])

    def mattr_of(who: str, places: Places) -> float:
        return mattr([word for place in places for word in words[who][place]])

    first, *others = (who for who in words if who != "human")

    def distance(who: str, places: Places) -> float:
        return abs(mattr_of(who, places) - mattr_of("human", places))

    def nearer(who: str, places: Places) -> float:
        return distance(first, places) - distance(who, places)

    return {
        **{who: asdict(resampled(partial(mattr_of, who), count, seed)) for who in words},
        "nearer": {who: asdict(resampled(partial(nearer, who), count, seed)) for who in others},
    }


def mattr(words: Sequence[str]) -> float:
    """Mean share of different words in a moving window; not a number without words."""
    if not words:
        return float("nan")
    if len(words) <= WINDOW:
        return len(set(words)) / len(words)
    inside = Counter(words[:WINDOW])
    shares = [len(inside)]
    for leaves, comes in zip(words, words[WINDOW:], strict=False):
        inside[leaves] -= 1
        if not inside[leaves]:
            del inside[leaves]
        inside[comes] += 1
        shares.append(len(inside))
    return float(np.mean(shares)) / WINDOW
