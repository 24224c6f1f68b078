"""Distinct-n: how varied the wording of queries is, at a fixed length of text."""

from collections.abc import Sequence
from typing import ClassVar

from parrot_core.analysis.statistics.measures.measure import Measure, Ratio
from parrot_core.analysis.statistics.sampling import Draw
from parrot_core.analysis.statistics.session import Session
from parrot_core.analysis.statistics.values import Found
from parrot_core.text.similarity import tokens

WINDOW = 1000
SESSIONS = 2000
QUERY_TOKENS = 64
"""Tokens of a query that count: a pasted file would fill windows of its own."""
ORDERS = (1, 2, 3)

Query = Sequence[str]


class DistinctMeasure(Measure):
    """See ``description``."""

    name: ClassVar[str] = "distinct"
    description: ClassVar[str] = (
        f"Distinct n-grams over all n-grams of the queries, in windows of {WINDOW:,} tokens of "
        f"{SESSIONS:,} drawn sessions, averaged over windows: over a whole set the ratio would "
        f"fall with its size. The first {QUERY_TOKENS} tokens of a query count; an n-gram never "
        "spans two queries."
    )

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._drawn: Draw[list[str]] = Draw(SESSIONS, seed, "distinct")

    def add(self, session: Session, read: None) -> None:
        heads = [query[: 16 * QUERY_TOKENS] for query in session.queries]
        self._drawn.offer(session.id, heads)

    def found(self) -> Found:
        heads = [head for queries in self._drawn.items() for head in queries]
        windows = _windows([tokens(head)[:QUERY_TOKENS] for head in heads])
        notes: tuple[str, ...] = ()
        if windows and sum(map(len, windows[0])) < WINDOW:
            notes = (f"distinct-n: all queries together have fewer than {WINDOW:,} tokens",)
        figures = []
        for order in ORDERS:
            share = Ratio()
            for window in windows:
                grams = [gram for query in window for gram in _grams(query, order)]
                if grams:
                    share.add(len(set(grams)) / len(grams))
            title = f"distinct-{order} of queries"
            figures.append(share.figure(f"distinct_{order}", title, self._seed, "windows"))
        return Found(figures=tuple(figures), notes=notes)


def _windows(queries: Sequence[Query]) -> list[list[Query]]:
    """Queries in windows of WINDOW tokens; a rest counts only where there is nothing else."""
    windows: list[list[Query]] = []
    window: list[Query] = []
    room = WINDOW
    for query in queries:
        while len(query) >= room:
            windows.append([*window, query[:room]])
            query, window, room = query[room:], [], WINDOW
        if query:
            window.append(query)
            room -= len(query)
    return windows or ([window] if window else [])


def _grams(query: Query, order: int) -> list[tuple[str, ...]]:
    return [tuple(query[i : i + order]) for i in range(len(query) - order + 1)]
