"""The rows of one version: a page at a time, filtered, searched."""

import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import get_args
from urllib.parse import urlencode

from nicegui import PageArguments, ui
from starlette.datastructures import QueryParams

from dashboard.row_preview import LABELS, LISTED_CHARS, labels, preview, preview_column
from dashboard.site import Site
from dashboard.version_cache import VersionPart
from dashboard.widgets import block, heading, line, read
from parrot_core.browse.index import Index, RowFilter
from parrot_core.browse.search import MOST_HITS, SearchResult
from parrot_core.lake.row_lookup import Part, Row
from parrot_core.text.wording import count, plural

ROWS = 30
MOST_FILTERS = 8
MANY = 20
SAID_EVERY_S = 0.3


class _Hunt:
    """A search that goes on in a thread: how far it is, and whether it is still wanted."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self.said = ""

    def going(self, done: int, total: int, hits: int) -> bool:
        """Told by the search; False ends it."""
        self.said = f"Searching: {done} of {total} files, {hits} hits so far …"
        return not self._ended.is_set()

    def end(self) -> None:
        """Nobody waits for it any more."""
        self._ended.set()


async def browse_page(site: Site, args: PageArguments, dataset: str, version: str) -> None:
    """Build the page; filters, text and place come from the address and go back into it."""
    part: Part = "rejects" if args.query_parameters.get("part") == "rejects" else "rows"
    page = _BrowsePage(site, VersionPart(dataset, version, part), args.query_parameters)
    await page.build()


class _BrowsePage:
    def __init__(self, site: Site, place: VersionPart, query: QueryParams) -> None:
        self._site = site
        self._place = place
        self._at = int(query.get("at", "0")) if query.get("at", "0").isdecimal() else 0
        self._text = query.get("q", "")
        self._equal = {k[2:]: v for k, v in query.items() if k.startswith("f.")}
        self._least, self._most = _bounds(query, "min."), _bounds(query, "max.")
        self._positions: Sequence[int] = ()
        self._hunt = _Hunt()

    async def build(self) -> None:
        """Everything on the page."""
        place = self._place
        with block("row head"):
            ui.link("Data", "/data").classes("crumb")
            heading(f"{place.dataset} {place.version}")
            block("grow")
            for part in get_args(Part):
                target = f"/data/{place.dataset}/{place.version}?part={part}"
                ui.link(part, target).classes("tab on" if part == place.part else "tab")
            if place.part == "rows":
                target = f"/review/{place.dataset}/{place.version}"
                ui.link("Review a sample", target).classes("button")
        lookup = await read(lambda: self._site.version_cache.lookup(place))
        if lookup is None:
            return
        with block("card filters", "section").props('role="search"'):
            self._search = ui.input(placeholder="Search all texts", value=self._text)
            self._search.props('dense outlined clearable aria-label="Search all texts"')
            self._search.classes("grow").on("keydown.enter", self._searched)
            self._filters = block("row wrap")
        self._said = line("Reading …", "soft").props('aria-live="polite"')
        self._list = block("rows")
        self._pager = block("row end pager")
        ui.timer(SAID_EVERY_S, self._tell)
        ui.context.client.on_disconnect(lambda: self._hunt.end())
        await self._find(keep_place=True)
        index = await read(lambda: self._site.version_cache.index(place))
        runs = await read(lambda: self._site.version_cache.runs_with(place))
        if index is not None:
            self._offer(index, runs or ())

    def _offer(self, index: Index, runs: Sequence[str]) -> None:
        """Selects for the runs and for columns that have few values, bounds for the turns."""
        choices = {k: v for k, v in index.choices().items() if k != "n_turns"}
        ordered = sorted(choices, key=lambda c: (c not in LABELS, c))[:MOST_FILTERS]
        with self._filters:
            if len(runs) > 1:
                told = {name: line_of(name) for name in runs}
                _select("run", told, self._place.version, self._other_run)
            for column in ordered:
                options = {"": f"any {column}"}
                options |= {v: f"{line_of(v)} ({count(n)})" for v, n in choices[column].items()}
                chosen = self._equal.get(column, "")
                _select(column, options, chosen, partial(self._chose, column))
            if "n_turns" in index.columns:
                for bounds, label in ((self._least, "turns from"), (self._most, "turns to")):
                    ui.number(
                        label,
                        value=bounds.get("n_turns"),
                        min=0,
                        on_change=lambda event, bounds=bounds: self._bounded(bounds, event.value),
                    ).props("dense outlined debounce=400").classes("short")

    def _other_run(self, version: str) -> None:
        """The same question to another run's rows."""
        self._hunt.end()
        self._at = 0
        self._place = replace(self._place, version=version)
        ui.navigate.to(self._address())

    async def _chose(self, column: str, value: str) -> None:
        self._equal = {k: v for k, v in self._equal.items() if k != column}
        if value:
            self._equal[column] = value
        await self._find()

    async def _bounded(self, bounds: dict[str, int], value: float | None) -> None:
        bounds.pop("n_turns", None)
        if value is not None:
            bounds["n_turns"] = int(value)
        await self._find()

    async def _searched(self) -> None:
        self._text = (self._search.value or "").strip()
        await self._find()

    async def _find(self, *, keep_place: bool = False) -> None:
        """Look for the rows that are wanted now; an earlier search is ended."""
        self._hunt.end()
        hunt = self._hunt = _Hunt()
        wanted = RowFilter(dict(self._equal), dict(self._least), dict(self._most))
        site, place, text = self._site, self._place, self._text
        found = await read(lambda: site.version_cache.positions(place, wanted, text, hunt.going))
        if hunt is not self._hunt:
            return
        hunt.said = ""
        if found is None:  # what went wrong is on the page
            self._said.set_text("")
            return
        self._positions, searched = found
        if not keep_place or self._at >= len(self._positions):
            self._at = 0
        await self._list_rows()
        self._said.set_text(self._summary(searched))

    async def _list_rows(self) -> None:
        shown = self._positions[self._at : self._at + ROWS]
        site, place = self._site, self._place

        def load() -> list[Row]:
            lookup = site.version_cache.lookup(place)
            columns = site.version_cache.columns(place)
            wanted = [c for c in ("id", *LABELS) if c in columns]
            text = preview_column(columns)
            return lookup.read(shown, [*wanted, *([text] if text and text not in wanted else [])])

        with self._list:
            rows = await read(load)
        if rows is None:
            return
        self._list.clear()
        with self._list:
            for position, row in zip(shown, rows, strict=True):
                _row(place, position, row)
        self._turn_pages()
        ui.navigate.history.replace(self._address())

    def _turn_pages(self) -> None:
        total = len(self._positions)
        self._pager.clear()
        with self._pager:
            if total <= ROWS:
                return
            last = min(self._at + ROWS, total)
            ui.button("Newer", on_click=lambda: self._go(self._at - ROWS)).props(
                "flat no-caps" + ("" if self._at else " disable")
            ).set_text("← Back")
            line(f"{self._at + 1:,}-{last:,} of {total:,}", "soft")
            ui.button("Further →", on_click=lambda: self._go(self._at + ROWS)).props(
                "flat no-caps" + ("" if last < total else " disable")
            )

    async def _go(self, at: int) -> None:
        self._at = max(0, at)
        await self._list_rows()

    def _tell(self) -> None:
        if self._hunt.said:
            self._said.set_text(self._hunt.said)

    def _summary(self, searched: SearchResult | None) -> str:
        total = plural(len(self._positions), self._place.part.removesuffix("s"))
        if searched is None or searched.complete:
            return total
        return f"{total}; the search ended after {MOST_HITS} hits, {searched.files_read} of " + (
            f"{searched.files} files"
        )

    def _address(self) -> str:
        query: dict[str, str] = {}
        if self._place.part != "rows":
            query["part"] = self._place.part
        if self._at:
            query["at"] = str(self._at)
        if self._text:
            query["q"] = self._text
        query |= {f"f.{name}": value for name, value in self._equal.items()}
        query |= {f"min.{name}": str(value) for name, value in self._least.items()}
        query |= {f"max.{name}": str(value) for name, value in self._most.items()}
        where = f"/data/{self._place.dataset}/{self._place.version}"
        return where + (f"?{urlencode(query)}" if query else "")


def _select(
    label: str,
    options: dict[str, str],
    chosen: str,
    changed: Callable[[str], Awaitable[None] | None],
) -> None:
    """A choice; where there are many, one can type to find it."""
    ui.select(
        options,
        value=chosen if chosen in options else next(iter(options)),
        label=label,
        with_input=len(options) > MANY,
        on_change=lambda event: changed(event.value),
    ).props("dense outlined options-dense")


def line_of(value: str) -> str:
    """A value of a column, short."""
    return value if len(value) <= 40 else f"{value[:39]}…"


def _bounds(query: QueryParams, prefix: str) -> dict[str, int]:
    found: Mapping[str, str] = {k: v for k, v in query.items() if k.startswith(prefix)}
    return {k.removeprefix(prefix): int(v) for k, v in found.items() if v.isdecimal()}


def _row(place: VersionPart, position: int, row: Row) -> None:
    part = "?part=rejects" if place.part == "rejects" else ""
    target = f"/data/{place.dataset}/{place.version}/{position}{part}"
    with ui.link(target=target).classes("datum"):  # few elements: a page has many of these
        line(row["id"], "mono soft small clip", limit=80)
        line(" · ".join(labels(row)), "tags small", limit=120)
        line(preview(row), "said", limit=LISTED_CHARS)
