"""Cheap topics of short texts: k-means over hashed, weighted words, so that seeds can be spread.

Words are hashed into 512 signed dimensions and weighted by how rare they are (Weinberger et al.
2009), texts are clustered by cosine (spherical k-means) on at most 20,000 of them, and the others
are given the nearest centre. With numpy alone 20,000 texts take seconds, and it needs no model: the
topics must only be good enough to keep one kind of query from crowding out the others.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from parrot_core.filters.similarity import tokens

Vectors: TypeAlias = NDArray[np.float32]

DIMENSIONS = 512
_BUCKETS = 2**16
_SAMPLE = 20_000
_ROUNDS = 12
_BATCH = 4096
_CHARS = 600


def topics_of(texts: Sequence[str], number: int, seed: int) -> list[int]:
    """The topic of each text, from 0.

    Args:
        texts: the first 20,000 decide what the topics are, so their order should be random.
        number: most topics.
        seed: of the first centres.
    """
    if not texts:
        return []
    words = [_hashes(text) for text in texts]
    rarity = _rarity(words)
    sample = np.concatenate(list(_vectors(words[:_SAMPLE], rarity)))
    centres = _centres(sample, min(number, len(sample)), seed)
    nearest = [np.argmax(batch @ centres.T, axis=1) for batch in _vectors(words, rarity)]
    return [int(topic) for topic in np.concatenate(nearest)]


def spread(strata: Sequence[object]) -> list[int]:
    """Positions in an order that takes one of each stratum in turn, as long as each lasts.

    Within a stratum, and among the strata of one round, the given order stays.
    """
    met: dict[object, int] = {}
    rounds = []
    for stratum in strata:
        rounds.append(met.get(stratum, 0))
        met[stratum] = rounds[-1] + 1
    return sorted(range(len(strata)), key=lambda place: (rounds[place], place))


def _hashes(text: str) -> NDArray[np.uint64]:
    distinct = sorted(set(tokens(text[:_CHARS])))
    digests = b"".join(
        hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for word in distinct
    )
    return np.frombuffer(digests, dtype=np.uint64)


def _rarity(words: Sequence[NDArray[np.uint64]]) -> Vectors:
    """Inverse document frequency of each bucket; a word of one text alone tells nothing."""
    found = np.zeros(_BUCKETS)
    for own in words:
        found[own % _BUCKETS] += 1
    weights = np.log(len(words) / np.maximum(found, 1))
    weights[found < 2] = 0.0
    return weights.astype(np.float32)


def _vectors(words: Sequence[NDArray[np.uint64]], rarity: Vectors) -> Iterator[Vectors]:
    """Yield unit vectors, some thousand rows at a time; a text without words is all zero."""
    for start in range(0, len(words), _BATCH):
        batch = words[start : start + _BATCH]
        vectors = np.zeros((len(batch), DIMENSIONS), dtype=np.float32)
        for row, own in zip(vectors, batch, strict=True):
            signs = np.where((own >> np.uint64(32)) & np.uint64(1), 1.0, -1.0)
            place = (own >> np.uint64(33)) % np.uint64(DIMENSIONS)
            np.add.at(row, place.astype(np.intp), signs * rarity[own % _BUCKETS])
        yield _unit(vectors)


def _centres(sample: Vectors, number: int, seed: int) -> Vectors:
    """Spherical k-means from centres drawn far apart (k-means++)."""
    random = np.random.default_rng(seed)
    picked = [int(random.integers(len(sample)))]
    distance = 1 - sample @ sample[picked[0]]
    while len(picked) < number:
        weights = np.maximum(distance, 0).astype(np.float64) ** 2
        if not weights.sum():
            break
        picked.append(int(random.choice(len(sample), p=weights / weights.sum())))
        distance = np.minimum(distance, 1 - sample @ sample[picked[-1]])
    centres = sample[picked]
    for _ in range(_ROUNDS):
        nearest = np.argmax(sample @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        moved = _unit(sums)
        empty = ~moved.any(axis=1)
        moved[empty] = centres[empty]
        if np.allclose(moved, centres):
            break
        centres = moved
    return centres


def _unit(vectors: Vectors) -> Vectors:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.where(length > 0, length, 1)
    return unit
