"""The rows that a reader asked for: what is in the address, so that pages and links agree on it."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from parrot_core.browse.index import RowFilter
from parrot_core.browse.query import SearchQuery, parse_query
from parrot_core.browse.search import SearchResult
from parrot_core.lake.row_lookup import Part

SAMPLED = 200
"""Rows of a random sample of the hits."""

DIFFER = {"only": "are only here", "changed": "were changed"}
"""How a row can differ from another version's."""

MARKS = ("any", "none", "keep", "flag", "unsure")


@dataclass(frozen=True, slots=True)
class VersionPart:
    """One part of one version."""

    dataset: str
    version: str
    part: Part = "rows"

    @property
    def path(self) -> str:
        return f"/data/{self.dataset}/{self.version}"


@dataclass(frozen=True)
class Wanted:
    """Which rows of a part are to be shown, and in what order."""

    place: VersionPart
    text: str = ""
    equal: Mapping[str, str] = field(default_factory=dict)
    least: Mapping[str, int] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)
    mark: str = ""  # one of MARKS; empty: whatever marks a row has
    seed: int | None = None  # of a random sample of them, in random order
    other: str = ""  # a version of the dataset that the rows differ from
    differ: str = ""  # how: one of DIFFER

    @classmethod
    def of(cls, place: VersionPart, query: Mapping[str, str]) -> "Wanted":
        """Read it from an address; what makes no sense there is left out."""
        seed = query.get("sample", "")
        mark = query.get("mark", "")
        differ = query.get("differ", "") if query.get("differ") in DIFFER else ""
        return cls(
            place,
            query.get("q", "").strip(),
            {k[2:]: v for k, v in query.items() if k.startswith("f.")},
            _bounds(query, "min."),
            _bounds(query, "max."),
            mark if mark in MARKS else "",
            int(seed[:12]) if seed.isdecimal() else None,
            query.get("vs", "") if differ else "",
            differ if query.get("vs") else "",
        )

    @property
    def filter(self) -> RowFilter:
        return RowFilter(dict(self.equal), dict(self.least), dict(self.most))

    @property
    def query(self) -> SearchQuery:
        """What the texts are searched for.

        Raises:
            UserError: it can't be understood.
        """
        return parse_query(self.text)

    @property
    def everything(self) -> bool:
        return not (self.text or self.filter or self.mark or self.differ or self.seed is not None)

    @property
    def key(self) -> str:
        """Names the set, for a cache and a link."""
        return self.address()

    def with_equal(self, column: str, value: str) -> "Wanted":
        """The set with a column's value asked for; an empty one is not asked for any more."""
        rest = {k: v for k, v in self.equal.items() if k != column}
        return replace(self, equal={**rest, column: value} if value else rest)

    def with_bounds(self, column: str, least: int | None, most: int | None) -> "Wanted":
        """The set with bounds for a column; None is no bound."""
        low = {k: v for k, v in self.least.items() if k != column}
        high = {k: v for k, v in self.most.items() if k != column}
        return replace(
            self,
            least=low if least is None else {**low, column: least},
            most=high if most is None else {**high, column: most},
        )

    def arranged(self, positions: Sequence[int]) -> Sequence[int]:
        """The positions in the order they are read in, or a sample of them."""
        if self.seed is None:
            return positions
        drawn = random.Random(self.seed)
        return drawn.sample(positions, min(SAMPLED, len(positions)))

    def address(self, position: int | None = None, **more: str) -> str:
        """The address of the set, or of one of its rows."""
        query: dict[str, str] = {}
        if self.place.part != "rows":
            query["part"] = self.place.part
        if self.text:
            query["q"] = self.text
        query |= {f"f.{name}": value for name, value in self.equal.items()}
        query |= {f"min.{name}": str(value) for name, value in self.least.items()}
        query |= {f"max.{name}": str(value) for name, value in self.most.items()}
        if self.mark:
            query["mark"] = self.mark
        if self.differ:
            query |= {"vs": self.other, "differ": self.differ}
        if self.seed is not None:
            query["sample"] = str(self.seed)
        query |= more
        where = self.place.path + ("" if position is None else f"/{position}")
        return where + (f"?{urlencode(query)}" if query else "")


@dataclass(frozen=True, slots=True)
class ResultSet:
    """The rows that were found."""

    positions: Sequence[int]
    searched: SearchResult | None = None  # how the search for the text went


def _bounds(query: Mapping[str, str], prefix: str) -> dict[str, int]:
    found = {k: v for k, v in query.items() if k.startswith(prefix)}
    return {k.removeprefix(prefix): int(v[:12]) for k, v in found.items() if v.isdecimal()}
