"""A random sample of a version, row by row, to keep or to flag; flagged ids become a filter."""

import random
from datetime import UTC, datetime

from nicegui import ui
from nicegui.events import KeyEventArguments

from dashboard.row_page import Marking
from dashboard.row_view import row_facts, row_view, siblings_of
from dashboard.site import Site
from dashboard.version_cache import VersionPart
from dashboard.widgets import block, heading, in_thread, line, read
from parrot_core.errors import ParrotError
from parrot_core.text.sanitise import one_line

SAMPLE = 50


async def review_page(site: Site, dataset: str, version: str, seed: str = "1") -> None:
    """Build the page; the sample is decided by the seed, so that two reviewers see the same."""
    place = VersionPart(dataset, version)
    lookup = await read(lambda: site.version_cache.lookup(place))
    if lookup is None:
        return
    number = int(seed) if seed.isdecimal() else 1
    positions = sample(len(lookup), number)
    page = _ReviewPage(site, place, positions, number)
    await page.build()


def sample(rows: int, seed: int, size: int = SAMPLE) -> list[int]:
    """Positions drawn without replacement, decided by the seed."""
    return random.Random(seed).sample(range(rows), min(size, rows))


class _ReviewPage:
    def __init__(self, site: Site, place: VersionPart, positions: list[int], seed: int) -> None:
        self._site = site
        self._place = place
        self._positions = positions
        self._seed = seed
        self._at = 0
        self._marking: Marking | None = None

    async def build(self) -> None:
        """Everything on the page."""
        where = f"{self._place.dataset}/{self._place.version}"
        with block("row head"):
            ui.link(where.replace("/", " "), f"/data/{where}").classes("crumb")
            heading("Review")
            self._said = line("", "soft").props('aria-live="polite"')
            block("grow")
            ui.link("Another sample", f"/review/{where}?seed={self._seed + 1}").classes("button")
        keys = "j next · k back · g keep · f flag" if self._site.actions else "j next · k back"
        line(keys, "soft small")
        self._row = block("")
        with block("card row", "section"):
            self._export()
        ui.keyboard(on_key=self._key)
        await self._show()

    def _export(self) -> None:
        """Freeze what is flagged under a name that a recipe can give to its filter."""
        if self._site.actions is None:
            line("Marks can't be saved: this dashboard is read-only.", "soft")
            return
        line("Export the flagged ids as", "soft")
        name = ui.input(value=f"{self._place.version}-flagged").props(
            'dense outlined aria-label="Name of the export"'
        )

        async def export() -> None:
            reviews = self._site.version_cache.reviews(self._place)
            try:
                made = await in_thread(lambda: reviews.export(name.value, datetime.now(UTC)))
            except ParrotError as error:
                ui.notify(one_line(error, 300), type="negative")
                return
            ui.notify(
                f"{len(made.ids)} ids. In a recipe: filter.flagged: {made.name}",
                type="positive",
                timeout=8000,
            )

        ui.button("Export", on_click=export).props("outline no-caps")

    async def _show(self) -> None:
        if not self._positions:
            self._said.set_text("This version has no rows.")
            return
        site, place, position = self._site, self._place, self._positions[self._at]
        rows = await read(lambda: site.version_cache.lookup(place).read([position]))
        marks = await read(lambda: site.version_cache.reviews(place).marks())
        if not rows or marks is None:
            return
        row = rows[0]
        siblings = await read(lambda: siblings_of(site, place, row)) or []
        flagged = sum(mark.verdict == "flag" for mark in marks.values())
        self._said.set_text(
            f"{self._at + 1} of {len(self._positions)} · {len(marks)} marked, {flagged} flagged"
        )
        self._row.clear()
        with self._row, block("reading"):
            with block("text-side"):
                row_view(row, siblings)
            with block("aside", "aside"):
                with block("card row", "section"):
                    self._marking = Marking(site, place, row["id"], marks.get(row["id"]))
                    self._marking.build()
                with block("card", "section"):
                    line(row["id"], "mono small wrap", limit=300)
                    row_facts(row)
                with block("row"):
                    ui.button("← Back", on_click=lambda: self._go(-1)).props("flat no-caps")
                    ui.button("Next →", on_click=lambda: self._go(1)).props("unelevated no-caps")

    async def _go(self, step: int) -> None:
        self._at = max(0, min(len(self._positions) - 1, self._at + step))
        await self._show()

    async def _key(self, event: KeyEventArguments) -> None:
        if not event.action.keydown or event.modifiers.ctrl or event.modifiers.meta:
            return
        key = str(event.key)
        if key in ("j", "k"):
            await self._go(1 if key == "j" else -1)
        elif key in ("g", "f") and self._marking is not None:
            self._marking.set("keep" if key == "g" else "flag")
