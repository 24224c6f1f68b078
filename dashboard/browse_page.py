"""The rows of one version: a page at a time, filtered, searched, counted, sampled, downloaded."""

import json
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import get_args

from nicegui import PageArguments, ui

from dashboard.facets import facets, show_facets
from dashboard.preferences import prefer, preference
from dashboard.result_set import DIFFER, MARKS, SAMPLED, ResultSet, VersionPart, Wanted
from dashboard.row_preview import LABELS, labels, preview_column, snippet
from dashboard.site import Site
from dashboard.widgets import block, button, heading, in_thread, line, read, title
from dashboard.words import in_words
from parrot_core.browse.index import Index
from parrot_core.browse.query import SearchQuery
from parrot_core.browse.search import MOST_HITS
from parrot_core.errors import ParrotError
from parrot_core.lake.row_lookup import Part, Row
from parrot_core.text.sanitise import one_line, sanitise
from parrot_core.text.wording import count, plural

ROWS = 30
MOST_FILTERS = 9
MANY = 20
SAID_EVERY_S = 0.3
MOST_DOWNLOADED = 5_000
HELP = 'All words must occur; "a phrase" in quotes; /a regular expression/ between slashes.'


class _Hunt:
    """A search that goes on in a thread: how far it is, and whether it is still wanted."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self.said = ""

    def going(self, done: int, total: int, hits: int) -> bool:
        """Called by the search; False ends it."""
        self.said = f"Searching: {done} of {total} files, {hits} hits so far …"
        return not self._ended.is_set()

    def end(self) -> None:
        self._ended.set()


async def browse_page(site: Site, args: PageArguments, dataset: str, version: str) -> None:
    """Build the page; filters, text and place come from the address and go back into it."""
    query = dict(args.query_parameters)
    part: Part = "rejects" if query.get("part") == "rejects" else "rows"
    title(f"{dataset} {version}")
    at = query.get("at", "0")
    wanted = Wanted.of(VersionPart(dataset, version, part), query)
    page = _BrowsePage(site, wanted, int(at[:12]) if at.isdecimal() else 0)
    await page.build()


class _BrowsePage:
    def __init__(self, site: Site, wanted: Wanted, at: int) -> None:
        self._site = site
        self._wanted = wanted
        self._at = at
        self._found = ResultSet(())
        self._hunt = _Hunt()
        self._index: Index | None = None
        self._columns_key = f"columns-{wanted.place.dataset}"

    async def build(self) -> None:
        place = self._wanted.place
        with block("row head"):
            ui.link("Data", "/data").classes("crumb")
            heading(f"{place.dataset} {place.version}")
            block("grow")
            for part in get_args(Part):
                target = f"{place.path}?part={part}"
                ui.link(part, target).classes("tab on" if part == place.part else "tab")
            if place.part == "rows":
                target = f"/review/{place.dataset}/{place.version}"
                ui.link("Review a sample", target).classes("button")
        lookup = await read(lambda: self._site.version_cache.lookup(place))
        if lookup is None:
            return
        with block("card filters", "section").props('role="search"'):
            with block("row wrap"):
                self._search = ui.input(placeholder="Search all texts", value=self._wanted.text)
                self._search.props('dense outlined clearable aria-label="Search all texts"')
                self._search.classes("grow").on("keydown.enter", self._searched)
                self._shuffle = button("Random sample", self._sampled, "outline")
                button("Download", self._download, "outline")
            line(HELP, "soft small")
            if self._wanted.differ:
                with block("row wrap"):
                    said = DIFFER[self._wanted.differ]
                    line(f"Rows that {said}, against version {self._wanted.other}.", "title")
                    ui.link("All rows", place.path)
            self._filters = block("row wrap")
            self._counts = ui.expansion("Distributions").classes("wide distributions")
            self._counts.on_value_change(self._count)
        self._said = line("Reading …", "soft").props('aria-live="polite"')
        self._list = block("rows")
        self._pager = block("row end pager")
        ui.timer(SAID_EVERY_S, self._tell)
        ui.context.client.on_disconnect(lambda: self._hunt.end())
        await self._find(keep_place=True)
        self._index = await read(lambda: self._site.version_cache.index(place))
        runs = await read(lambda: self._site.version_cache.runs_with(place))
        if self._index is not None:
            self._offer(self._index, runs or ())

    def _offer(self, index: Index, runs: Sequence[str]) -> None:
        """Selects for the runs and for columns that have few values, bounds for the turns."""
        wanted = self._wanted
        choices = {k: v for k, v in index.choices().items() if k != "n_turns"}
        ordered = sorted(choices, key=lambda c: (c not in (*LABELS, "truncated", "filter"), c))
        with self._filters:
            if len(runs) > 1:
                names = {name: short(name) for name in runs}
                _select("run", names, wanted.place.version, self._other_run)
            for column in ordered[:MOST_FILTERS]:
                options = {"": "any"}
                options |= {v: f"{short(v)} ({count(n)})" for v, n in choices[column].items()}
                chosen = wanted.equal.get(column, "")
                _select(in_words(column), options, chosen, partial(self._chose, column))
            if wanted.place.part == "rows":
                marks = {"": "any mark or none", **{each: each for each in MARKS}}
                marks |= {"any": "marked", "none": "not marked"}
                _select("mark", marks, wanted.mark, self._marked)
            if "n_turns" in index.columns:
                for low in (True, False):
                    bounds = wanted.least if low else wanted.most
                    ui.number(
                        "turns from" if low else "turns to",
                        value=bounds.get("n_turns"),
                        min=0,
                        on_change=lambda event, low=low: self._bounded(low, event.value),
                    ).props("dense outlined debounce=400").classes("short")
            self._choose_columns(index)

    def _choose_columns(self, index: Index) -> None:
        known = [name for name in LABELS if name in index.columns or name == "flags"]
        ui.select(
            {name: in_words(name) for name in known},
            value=[name for name in self._shown_columns() if name in known],
            label="columns",
            multiple=True,
            on_change=lambda event: self._chose_columns(event.value),
        ).props("dense outlined options-dense")

    def _shown_columns(self) -> tuple[str, ...]:
        kept = preference(self._columns_key, "*")
        return LABELS if kept == "*" else tuple(n for n in LABELS if n in kept.split(","))

    async def _chose_columns(self, names: list[str]) -> None:
        prefer(self._columns_key, ",".join(names))
        await self._list_rows()

    def _other_run(self, version: str) -> None:
        """The same question to another run's rows."""
        self._hunt.end()
        place = replace(self._wanted.place, version=version)
        ui.navigate.to(replace(self._wanted, place=place).address())

    async def _ask(self, wanted: Wanted) -> None:
        self._wanted = wanted
        await self._find()

    async def _chose(self, column: str, value: str) -> None:
        await self._ask(self._wanted.with_equal(column, value))

    async def _marked(self, mark: str) -> None:
        await self._ask(replace(self._wanted, mark=mark))

    async def _bounded(self, low: bool, value: float | None) -> None:
        bound = None if value is None else int(value)
        least, most = (each.get("n_turns") for each in (self._wanted.least, self._wanted.most))
        bounds = (bound, most) if low else (least, bound)
        await self._ask(self._wanted.with_bounds("n_turns", *bounds))

    async def _searched(self) -> None:
        await self._ask(replace(self._wanted, text=(self._search.value or "").strip()))

    async def _sampled(self) -> None:
        """A random sample of what was found; again, another one; none when there is one of all."""
        seed = self._wanted.seed
        await self._ask(replace(self._wanted, seed=1 if seed is None else seed + 1))

    async def _find(self, *, keep_place: bool = False) -> None:
        """Look for the rows that are wanted now; an earlier search is ended."""
        self._hunt.end()
        hunt = self._hunt = _Hunt()
        site, wanted = self._site, self._wanted
        with self._list:
            found = await read(lambda: site.version_cache.result_set(wanted, hunt.going))
        if hunt is not self._hunt:
            return
        hunt.said = ""
        if found is None:  # what went wrong is on the page
            self._said.set_text("")
            return
        self._found = found
        if not keep_place or self._at >= len(found.positions):
            self._at = 0
        await self._list_rows()
        self._said.set_text(self._summary())
        if self._counts.value:
            await self._count()

    async def _list_rows(self) -> None:
        shown = self._found.positions[self._at : self._at + ROWS]
        site, place = self._site, self._wanted.place
        names = self._shown_columns()

        def load() -> list[Row]:
            lookup = site.version_cache.lookup(place)
            columns = site.version_cache.columns(place)
            wanted = [c for c in ("id", *names) if c in columns]
            text = preview_column(columns)
            return lookup.read(shown, [*wanted, *([text] if text and text not in wanted else [])])

        with self._list:
            rows = await read(load)
        if rows is None:
            return
        query = self._wanted.query
        self._list.clear()
        with self._list:
            for position, row in zip(shown, rows, strict=True):
                _row(self._wanted, position, row, query, names)
        self._turn_pages()
        ui.navigate.history.replace(self._wanted.address(None, **self._place()))

    def _place(self) -> dict[str, str]:
        return {"at": str(self._at)} if self._at else {}

    def _turn_pages(self) -> None:
        total = len(self._found.positions)
        self._pager.clear()
        with self._pager:
            if total <= ROWS:
                return
            last = min(self._at + ROWS, total)
            back = button("← Back", lambda: self._go(self._at - ROWS), "flat")
            back.set_enabled(self._at > 0)
            line(f"{self._at + 1:,}-{last:,} of {total:,}", "soft")
            button("Further →", lambda: self._go(self._at + ROWS), "flat").set_enabled(last < total)

    async def _go(self, at: int) -> None:
        self._at = max(0, at)
        await self._list_rows()

    async def _count(self) -> None:
        """Draw the distributions, if they are open."""
        self._counts.clear()
        if not self._counts.value:
            return
        site, wanted, found = self._site, self._wanted, self._found
        with self._counts:
            waiting = line("Counting …", "soft")
            made = await read(lambda: facets(site, wanted, found))
            waiting.delete()
            show_facets(made or (), self._ask)

    async def _download(self) -> None:
        site, place = self._site, self._wanted.place
        chosen = self._found.positions[:MOST_DOWNLOADED]

        def lines() -> bytes:
            rows = site.version_cache.lookup(place).read(chosen)
            texts = (json.dumps(row, ensure_ascii=True, default=str) for row in rows)
            return "".join(f"{text}\n" for text in texts).encode()

        try:
            data = await in_thread(lines)
        except (ParrotError, OSError) as error:
            ui.notify(one_line(error, 300), type="negative")
            return
        ui.download.content(data, f"{place.dataset}-{place.version}.jsonl", "application/jsonl")
        ui.notify(f"{plural(len(chosen), 'row')} of {count(len(self._found.positions))}")

    def _tell(self) -> None:
        if self._hunt.said:
            self._said.set_text(self._hunt.said)

    def _summary(self) -> str:
        found = self._found
        total = plural(len(found.positions), self._wanted.place.part.removesuffix("s"))
        if self._wanted.seed is not None:
            total += f", a random sample of at most {SAMPLED}"
        if found.searched is None or found.searched.complete:
            return total
        searched = found.searched
        return f"{total}; the search ended after {MOST_HITS:,} hits, {searched.files_read} of " + (
            f"{searched.files} files"
        )


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


def short(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:39]}…"


def _row(wanted: Wanted, position: int, row: Row, query: SearchQuery, names: Sequence[str]) -> None:
    with ui.link(target=wanted.address(position)).classes("datum"):
        line(row["id"], "mono soft small clip", limit=80)
        facts = {name: row[name] for name in names if name in row}
        line(" · ".join(labels(facts)), "tags small", limit=120)
        parts = snippet(row, query)
        if len(parts) == 1:  # few elements: a page has many of these
            line(parts[0][0], "said", limit=300).props('dir="auto"')
            return
        with block("said").props('dir="auto"'):
            for piece, marked in parts:
                with block("piece", "mark" if marked else "span"):
                    ui.label(" ".join(sanitise(piece).split("\n")))
