"""Cheap topics of texts: latent semantic analysis and k-means, so that seeds can be spread.

The 2,048 most frequent words that aren't everywhere, weighted by how rare they are, are reduced to
64 dimensions (Deerwester et al. 1990, by a randomised SVD) and clustered by cosine. At most 10,000
texts decide what the topics are, the others are given the nearest. With numpy alone that takes
seconds and needs no model: the topics must only be good enough to keep one kind of query from
crowding out the others.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from parrot_core.text.similarity import WITHOUT_CONTENT, tokens

Vectors: TypeAlias = NDArray[np.float32]

VOCABULARY = 2048
DIMENSIONS = 64
SAMPLE = 10_000
CHARS = 900
"""Characters read of a text."""
_MOST_SHARE = 0.05  # of texts that a word may be in; else it's of no topic
_LEAST_TEXTS = 3
_NAME_WORDS = 3
_NAME_CHARS = 3
_STARTS = 5
_ROUNDS = 15
_BATCH = 2048


def topics_of(texts: Sequence[str], number: int, seed: int) -> list[int]:
    """The topic of each text, from 0; texts without a word that tells share one of their own.

    Args:
        texts: the first 10,000 decide what the topics are, so their order should be random.
    """
    weights = _weights(texts[:SAMPLE])
    if not weights:
        return [0] * len(texts)
    random = np.random.default_rng(seed)
    sample = np.concatenate(list(_vectors(texts[:SAMPLE], weights)))
    axes = _main_axes(sample, random)
    known = sample[sample.any(axis=1)]
    others = len(known) < len(sample)  # texts without a word that tells: a topic of their own
    centres = _centres(_unit(known @ axes), max(1, number - others), random)
    nearest: list[int] = []
    for batch in _vectors(texts, weights):
        topics = np.argmax(_unit(batch @ axes) @ centres.T, axis=1)
        nearest += np.where(batch.any(axis=1), topics, min(len(centres), number - 1)).tolist()
    return nearest


def names_of(texts: Sequence[str], topics: Sequence[int]) -> dict[int, str]:
    """A name for each topic: the words that tell its texts from the others, the surest first.

    Args:
        texts: what the topics were told by.
    """
    overall: Counter[str] = Counter()
    within: dict[int, Counter[str]] = {topic: Counter() for topic in sorted(set(topics))}
    for text, topic in zip(texts, topics, strict=True):
        words = {word for word in _words(text) if len(word) >= _NAME_CHARS and word.isalpha()}
        words -= WITHOUT_CONTENT
        overall.update(words)
        within[topic].update(words)
    sizes = Counter(topics)
    names: dict[int, str] = {}
    for topic, found in within.items():
        surprise = {
            word: n * np.log(n / sizes[topic] * len(texts) / overall[word])
            for word, n in found.items()
        }
        ranked = sorted(surprise, key=lambda word: (-surprise[word], word))
        name = ", ".join(ranked[:_NAME_WORDS]) or "other"
        names[topic] = name if name not in names.values() else f"{name} ({topic})"
    return names


def spread(strata: Sequence[object]) -> list[int]:
    """Positions in an order that takes one of each stratum in turn, as long as each lasts.

    Within a stratum, and among the strata of one round, the given order stays.
    """
    met: Counter[object] = Counter()
    rounds = []
    for stratum in strata:
        rounds.append(met[stratum])
        met[stratum] += 1
    return sorted(range(len(strata)), key=lambda place: (rounds[place], place))


def _words(text: str) -> set[str]:
    return set(tokens(text[:CHARS]))


def _weights(texts: Sequence[str]) -> dict[str, tuple[int, float]]:
    """Column and inverse document frequency of each word of the vocabulary."""
    found: Counter[str] = Counter()
    for text in texts:
        found.update(_words(text))
    most = max(_LEAST_TEXTS, _MOST_SHARE * len(texts))
    usable = ((-n, word) for word, n in found.items() if _LEAST_TEXTS <= n <= most)
    ranked = sorted(usable)[:VOCABULARY]
    return {w: (i, float(np.log(len(texts) / -n)) + 0.1) for i, (n, w) in enumerate(ranked)}


def _vectors(texts: Iterable[str], weights: Mapping[str, tuple[int, float]]) -> Iterator[Vectors]:
    """Yield unit vectors, some thousand rows at a time; a text without known words is all zero."""
    rest = iter(texts)
    while batch := list(islice(rest, _BATCH)):
        vectors = np.zeros((len(batch), len(weights)), dtype=np.float32)
        for row, text in zip(vectors, batch, strict=True):
            for word in _words(text):
                if known := weights.get(word):
                    row[known[0]] = known[1]
        yield _unit(vectors)


def _main_axes(sample: Vectors, random: np.random.Generator) -> Vectors:
    """Right singular vectors of the sample, shape (words, dimensions) (Halko et al. 2011)."""
    words = sample.shape[1]
    size = min(DIMENSIONS, *sample.shape)
    basis = random.standard_normal((words, min(size + 16, words))).astype(np.float32)
    for _ in range(4):
        basis, _ = np.linalg.qr(sample.T @ (sample @ basis))
    _, _, axes = np.linalg.svd(sample @ basis, full_matrices=False)
    result: Vectors = (basis @ axes.T)[:, :size]
    return result


def _centres(sample: Vectors, number: int, random: np.random.Generator) -> Vectors:
    """The best of several k-means: a single one may end where rounding on this processor led it."""
    found = [_k_means(sample, number, random) for _ in range(_STARTS)]
    return max(found, key=lambda centres: float(np.max(sample @ centres.T, axis=1).sum()))


def _k_means(sample: Vectors, number: int, random: np.random.Generator) -> Vectors:
    """Spherical k-means from centres drawn far apart (k-means++)."""
    picked = [int(random.integers(len(sample)))]
    distance = 1 - sample @ sample[picked[0]]
    while len(picked) < min(number, len(sample)):
        weights = np.maximum(distance, 0).astype(np.float64)
        if weights.sum() < 1e-6:
            break
        picked.append(int(random.choice(len(sample), p=weights / weights.sum())))
        distance = np.minimum(distance, 1 - sample @ sample[picked[-1]])
    centres = sample[picked]
    for _ in range(_ROUNDS):
        nearest = np.argmax(sample @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        moved = _unit(sums)
        moved = np.where(moved.any(axis=1, keepdims=True), moved, centres)
        if np.allclose(moved, centres):
            break
        centres = moved
    return centres


def _unit(vectors: Vectors) -> Vectors:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.where(length > 0, length, 1)
    return unit
