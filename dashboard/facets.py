"""Distributions of the rows that were found, as bars; a click on a bar asks for its rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow.compute as pc
from nicegui import ui

from dashboard.result_set import ResultSet, Wanted
from dashboard.row_preview import LABELS
from dashboard.site import Site
from dashboard.widgets import block, heading
from dashboard.words import in_words
from parrot_core.browse.index import Index
from parrot_core.browse.lengths import BOUNDS, CHARS
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import count, short_count

MOST_FACETS = 9
MOST_BARS = 10
FIRST = ("n_turns", "truncated", "filter", "end_reason")


@dataclass(frozen=True, slots=True)
class FacetBar:
    """One value or span of values: how often, and the set that a click asks for."""

    label: str
    rows: int
    wanted: Wanted
    chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """One distribution."""

    title: str
    bars: tuple[FacetBar, ...]


def facets(site: Site, wanted: Wanted, found: ResultSet) -> list[Facet]:
    """All distributions of a result set; reads the lengths of the texts, once a version."""
    index = site.version_cache.with_lengths(wanted.place).among(found.positions)
    values = {name: counts for name, counts in index.choices().items() if name != CHARS}
    ordered = sorted(values, key=lambda name: (name not in FIRST, name not in LABELS, name))
    made = [_facet(name, values[name], wanted) for name in ordered[: MOST_FACETS - 1]]
    return [_lengths(index, wanted), *made]


def show_facets(found: Sequence[Facet], ask: Callable[[Wanted], object]) -> None:
    with block("facets"):
        for facet in found:
            with block("facet"):
                heading(facet.title, 2)
                most = max((bar.rows for bar in facet.bars), default=1)
                for bar in facet.bars:
                    _bar(bar, most, ask)


def _bar(bar: FacetBar, most: int, ask: Callable[[Wanted], object]) -> None:
    with block("bar-row on" if bar.chosen else "bar-row", "button") as element:
        element.props["aria-pressed"] = "true" if bar.chosen else "false"
        with block("amount", "span").style(f"width:{100 * bar.rows / max(1, most):.1f}%"):
            pass
        with block("label", "span"):
            ui.label(bar.label)
        with block("n", "span"):
            ui.label(count(bar.rows))
    element.on("click", lambda: ask(bar.wanted))


def _facet(name: str, values: dict[str, int], wanted: Wanted) -> Facet:
    bars = []
    shown = list(values.items())
    if name == "n_turns":
        shown = sorted(shown, key=lambda each: int(each[0]) if each[0].isdecimal() else 0)
    for value, rows in shown[:MOST_BARS]:
        chosen = wanted.equal.get(name) == value
        asked = wanted.with_equal(name, "" if chosen else value)
        bars.append(FacetBar(one_line(value, 32), rows, asked, chosen))
    return Facet(in_words(name), tuple(bars))


def _lengths(index: Index, wanted: Wanted) -> Facet:
    column = index.table[CHARS]
    bars = []
    for low, high in zip(BOUNDS, (*BOUNDS[1:], None), strict=True):
        inside = pc.greater_equal(column, low)
        if high is not None:
            inside = pc.and_(inside, pc.less(column, high))
        rows = pc.sum(inside).as_py() or 0
        least, most = low or None, None if high is None else high - 1
        chosen = (wanted.least.get(CHARS), wanted.most.get(CHARS)) == (least, most)
        chosen = chosen and (least, most) != (None, None)
        asked = wanted.with_bounds(CHARS, *((None, None) if chosen else (least, most)))
        label = f"{short_count(low)} to {short_count(high)}" if high else f"from {short_count(low)}"
        if rows:
            bars.append(FacetBar(label, rows, asked, chosen))
    return Facet(in_words(CHARS), tuple(bars))
