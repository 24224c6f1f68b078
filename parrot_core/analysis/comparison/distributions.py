"""How turns, lengths, languages and other figures are distributed in a version, and how they moved.

A version is read once, a row group at a time; what is kept are the counts of each value, so that
the figures are exact and memory is bounded by the number of different values.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from parrot_core.lake.lake import DatasetVersion

_STEPS = ((0.147, "negligible"), (0.33, "small"), (0.474, "medium"))
"""How a shift of so much is called (Romano et al. 2006, for Cliff's delta)."""

Floats = npt.NDArray[np.float64]


def _said(role: str, column: str = "messages") -> pl.Expr:
    """Characters of each message of one speaker."""
    message = pl.element().struct
    length = message.field("content").str.len_chars()
    return pl.col(column).list.eval(length.filter(message.field("role") == role))


def _chars(column: str) -> pl.Expr:
    return pl.col(column).str.len_chars()


_TURNS = ("turns", "n_turns", pl.col("n_turns"))
_QUERIES = ("query characters", "messages", _said("user"))
_ANSWERS = ("answer characters", "messages", _said("assistant"))

NUMBERS: Mapping[str, tuple[tuple[str, str, pl.Expr], ...]] = {
    "conversations": (_TURNS, _QUERIES, _ANSWERS),
    "seeds": (("query characters", "query", _chars("query")),),
    "dialogues": (_TURNS, _QUERIES, _ANSWERS),
    "parrot": (_TURNS, _QUERIES, _ANSWERS),
    "context-queries": (
        ("turn", "turn", pl.col("turn")),
        ("query characters", "query", _chars("query")),
        ("answer characters", "response", _chars("response")),
    ),
    "preferences": (
        ("turn", "turn", pl.col("turn")),
        ("chosen characters", "chosen", _said("assistant", "chosen")),
        ("rejected characters", "rejected", _said("assistant", "rejected")),
    ),
    "judgments": (
        ("answer characters", "answer", _chars("answer")),
        ("score", "score", pl.col("score")),
    ),
}
"""Figures of each dataset: name, the column it needs, and how it is taken from the column."""

SHARES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "conversations": (("language", "language"), ("split", "split")),
    "seeds": (("language", "language"),),
    "dialogues": (("language", "language"), ("end reason", "end_reason")),
    "parrot": (("language", "language"), ("end reason", "end_reason")),
    "context-queries": (("language", "language"), ("cue", "rule")),
    "preferences": (("language", "language"), ("strategy", "strategy")),
    "judgments": (("language", "language"), ("category", "category")),
    "comparisons": (("language", "language"), ("winner", "winner")),
}
"""What rows of each dataset are counted by: name and column."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the values of a figure lie."""

    n: int
    mean: float
    p10: float
    median: float
    p90: float


@dataclass(frozen=True, slots=True)
class Distributions:
    """Counts of each value, by figure; rows without a value are in none."""

    numbers: Mapping[str, Mapping[float, int]] = field(default_factory=dict)
    shares: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def total(self, name: str) -> float | None:
        """The sum of a figure, such as all turns; None where it isn't kept."""
        counts = self.numbers.get(name)
        return None if counts is None else sum(value * n for value, n in counts.items())


@dataclass(frozen=True, slots=True)
class NumberShift:
    """A figure in two versions.

    ``shift`` is Cliff's delta, how much more often a value of B is the larger one than a value of
    A: 0 where neither tends to be, 1 where every value of B is above every value of A, -1 the
    other way round. ``distance`` is the largest gap of the two cumulative distributions
    (Kolmogorov-Smirnov), which also sees a change of spread.
    """

    name: str
    a: Spread | None
    b: Spread | None
    shift: float | None
    distance: float | None

    @property
    def moved(self) -> bool:
        """Whether the values are distributed otherwise, however many there are."""
        return self.a != self.b if self.distance is None else self.distance > 1e-12

    @property
    def word(self) -> str:
        if self.shift is None:
            return ""
        size = abs(self.shift)
        return next((word for limit, word in _STEPS if size < limit), "large")


@dataclass(frozen=True, slots=True)
class ShareShift:
    """Rows by a value; ``distance`` (total variation) is the share that would have to move."""

    name: str
    a: Mapping[str, int]
    b: Mapping[str, int]
    distance: float | None

    @property
    def moved(self) -> bool:
        """Whether the values have other shares, however many rows there are."""
        return self.a != self.b if self.distance is None else self.distance > 1e-12

    @property
    def values(self) -> tuple[str, ...]:
        total = Counter(self.a) + Counter(self.b)
        return tuple(sorted(total, key=lambda value: (-total[value], value)))


def distributions(version: DatasetVersion) -> Distributions:
    """Count the values of a version's figures, reading only the columns they need."""
    numbers = NUMBERS.get(version.manifest.name, ())
    shares = SHARES.get(version.manifest.name, ())
    found: dict[str, Counter[float]] = {name: Counter() for name, _, _ in numbers}
    rows: dict[str, Counter[str]] = {name: Counter() for name, _ in shares}
    columns = sorted({column for _, column, _ in numbers} | {column for _, column in shares})
    for table in version.groups(columns) if columns else ():
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        for name, column, value in numbers:
            if column in frame.columns:
                found[name].update(_counted(frame, value))
        for name, column in shares:
            if column in frame.columns:
                counted = _counted(frame, pl.col(column))
                rows[name].update({str(value): n for value, n in counted.items()})
    return Distributions(found, rows)


def number_shifts(a: Distributions, b: Distributions) -> tuple[NumberShift, ...]:
    """Compare the figures that either version has."""
    names = dict.fromkeys([*a.numbers, *b.numbers])
    return tuple(
        _number_shift(name, a.numbers.get(name, {}), b.numbers.get(name, {})) for name in names
    )


def share_shifts(a: Distributions, b: Distributions) -> tuple[ShareShift, ...]:
    """Compare the shares that either version has."""
    names = dict.fromkeys([*a.shares, *b.shares])
    return tuple(
        _share_shift(name, dict(a.shares.get(name, {})), dict(b.shares.get(name, {})))
        for name in names
    )


def spread(counts: Mapping[float, int]) -> Spread | None:
    """Mean and quantiles of counted values; None when there are none."""
    if not counts:
        return None
    values, weights = _sorted(counts)
    total = weights.sum()
    reached = np.cumsum(weights)
    low, middle, high = (
        float(values[np.searchsorted(reached, share * total)]) for share in (0.1, 0.5, 0.9)
    )
    return Spread(int(total), float((values * weights).sum() / total), low, middle, high)


def _counted(frame: pl.DataFrame, value: pl.Expr) -> dict[Any, int]:
    column = frame.select(value.alias("v")).get_column("v")
    if isinstance(column.dtype, pl.List):
        column = column.explode()
    counted = column.drop_nulls().value_counts(name="n")
    return dict(counted.iter_rows())


def _sorted(counts: Mapping[float, int]) -> tuple[Floats, Floats]:
    values = np.array(sorted(counts), dtype=np.float64)
    return values, np.array([counts[value] for value in sorted(counts)], dtype=np.float64)


def _number_shift(name: str, a: Mapping[float, int], b: Mapping[float, int]) -> NumberShift:
    if not a or not b:
        return NumberShift(name, spread(a), spread(b), None, None)
    places = np.array(sorted({*a, *b}), dtype=np.float64)
    in_a, in_b = (
        np.array([side.get(v, 0) for v in places.tolist()], np.float64) for side in (a, b)
    )
    below_a, below_b = np.cumsum(in_a) - in_a, np.cumsum(in_b) - in_b
    pairs = in_a.sum() * in_b.sum()
    shift = ((in_b * below_a).sum() - (in_a * below_b).sum()) / pairs
    gaps = np.abs(np.cumsum(in_a) / in_a.sum() - np.cumsum(in_b) / in_b.sum())
    return NumberShift(name, spread(a), spread(b), float(shift), float(gaps.max()))


def _share_shift(name: str, a: dict[str, int], b: dict[str, int]) -> ShareShift:
    of_a, of_b = sum(a.values()), sum(b.values())
    if not of_a or not of_b:
        return ShareShift(name, a, b, None)
    moved = sum(abs(a.get(v, 0) / of_a - b.get(v, 0) / of_b) for v in {*a, *b}) / 2
    return ShareShift(name, a, b, moved)
