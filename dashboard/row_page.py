"""One row of the set that a reader walks through: read it, mark it, see where it came from."""

import json
from collections.abc import Sequence

from nicegui import PageArguments, ui
from nicegui.events import KeyEventArguments

from dashboard.chat import WayOfReading, read_as
from dashboard.marking import KEYS, Marking, reviewer_field
from dashboard.result_set import ResultSet, VersionPart, Wanted
from dashboard.row_view import row_facts, row_view, siblings_of
from dashboard.site import Site
from dashboard.widgets import block, button, facts, heading, line, read, title
from parrot_core.browse.lineage import Ancestor
from parrot_core.lake.row_lookup import Part, Row
from parrot_core.text.wording import count, plural

COMPARABLE = frozenset({"records", "conversations", "dialogues", "parrot"})
"""Datasets of whole sessions: their rows keep the session's id from one to the next."""


async def row_page(
    site: Site, args: PageArguments, dataset: str, version: str, position: str
) -> None:
    """Build the page; the set it belongs to is in its address, as is a version beside it."""
    query = dict(args.query_parameters)
    kind: Part = "rejects" if query.get("part") == "rejects" else "rows"
    wanted = Wanted.of(VersionPart(dataset, version, kind), query)
    here = int(position[:12]) if position.isdecimal() else 0
    title(f"Row {here + 1:,}", f"{dataset} {version}")
    lookup = await read(lambda: site.version_cache.lookup(wanted.place))
    if lookup is None:
        return
    if here >= len(lookup):
        heading(f"{dataset} {version}")
        line(f"It has {plural(len(lookup), kind.removesuffix('s'))}, none at {here + 1:,}.", "soft")
        return
    head = block("row head")
    rows = await read(lambda: lookup.read([here]))
    if not rows:
        return
    page = _RowPage(site, wanted, here, rows[0])
    usual = f"{dataset}@{wanted.other}" if wanted.differ == "changed" else ""
    await page.build(query.get("beside", usual))
    found = await read(lambda: site.version_cache.result_set(wanted))
    page.walk(head, found or ResultSet(range(len(lookup))))


class _RowPage:
    def __init__(self, site: Site, wanted: Wanted, here: int, row: Row) -> None:
        self._site = site
        self._wanted = wanted
        self._here = here
        self._row = row
        self._marking: Marking | None = None
        self._next: int | None = None
        self._previous: int | None = None

    async def build(self, beside: str) -> None:
        site, place, row = self._site, self._wanted.place, self._row
        siblings = await read(lambda: siblings_of(site, place, row)) or []
        reading = WayOfReading(query=self._wanted.query if self._wanted.text else None)
        with block("reading"):
            with block("text-side"):
                if beside:
                    await _side_by_side(site, place, row, beside)
                else:
                    read_as(lambda: row_view(row, siblings, reading))
            with block("aside", "aside"):
                await self._mark()
                with block("card", "section"):
                    line(row["id"], "mono small wrap", limit=300)
                    row_facts(row)
                    button("Copy as JSON", self._copy, "flat")
                await _compare(site, self._wanted, self._here, beside)
                await _lineage(site, place, row)

    async def _mark(self) -> None:
        site, place, row_id = self._site, self._wanted.place, self._row["id"]
        if place.part != "rows":
            return
        marks = await read(lambda: site.version_cache.reviews(place).marks())
        if marks is None:
            return
        if site.actions is not None:
            reviewer_field()
        self._marking = Marking(site, place, self._go_next)
        self._marking.show(row_id, [mark for mark in marks if mark.id == row_id])

    def walk(self, head: ui.element, found: ResultSet) -> None:
        """Links to the neighbours within the set, and the keys that follow them."""
        wanted, positions = self._wanted, found.positions
        total = len(positions)
        try:
            at: int | None = positions.index(self._here)
        except ValueError:  # it was in the set when the link was made
            at = None
        if at is not None:
            self._previous = positions[at - 1] if at else None
            self._next = positions[at + 1] if at + 1 < total else None
        with head:
            place = wanted.place
            ui.link(f"{place.dataset} {place.version}", wanted.address()).classes("crumb")
            if wanted.everything:
                heading(f"Row {self._here + 1:,} of {count(total)}")
            else:
                number = f"{at + 1:,}" if at is not None else "not one"
                heading(f"{number} of {count(total)} found")
            block("grow")
            if self._previous is not None:
                ui.link("← Previous", wanted.address(self._previous)).classes("button")
            if self._next is not None:
                ui.link("Next →", wanted.address(self._next)).classes("button")
        ui.keyboard(on_key=self._key)

    async def _go_next(self) -> None:
        if self._next is not None:
            ui.navigate.to(self._wanted.address(self._next))

    async def _key(self, event: KeyEventArguments) -> None:
        if not event.action.keydown or event.modifiers.ctrl or event.modifiers.meta:
            return
        key = str(event.key)
        if key == "j":
            await self._go_next()
        elif key == "k" and self._previous is not None:
            ui.navigate.to(self._wanted.address(self._previous))
        elif key in KEYS and self._marking is not None:
            await self._marking.set(KEYS[key])

    def _copy(self) -> None:
        ui.clipboard.write(json.dumps(self._row, ensure_ascii=True, indent=1, default=str))
        ui.notify("Copied.", timeout=1200)


async def _compare(site: Site, wanted: Wanted, here: int, beside: str) -> None:
    place = wanted.place
    if place.dataset not in COMPARABLE or place.part != "rows":
        return
    versions = await read(site.version_cache.versions)
    others = [
        f"{m.name}@{m.version}"
        for m in versions or []
        if m.name in COMPARABLE and (m.name, m.version) != (place.dataset, place.version)
    ]
    if not others:
        return

    def go(other: str) -> None:
        ui.navigate.to(wanted.address(here, beside=other))

    with block("card", "section"):
        ui.select(
            {"": "no other version", **{each: each for each in others}},
            value=beside if beside in others else "",
            label="side by side with",
            on_change=lambda e: go(e.value),
        ).props("dense outlined options-dense").classes("wide")


async def _side_by_side(site: Site, place: VersionPart, row: Row, beside: str) -> None:
    dataset, _, version = beside.partition("@")
    other = VersionPart(dataset, version)

    def find() -> Row | None:
        position = site.version_cache.index(other).find(row["id"])
        return None if position is None else site.version_cache.lookup(other).read([position])[0]

    with block("two"):
        with block("side"):
            heading(f"{place.dataset} {place.version}", 2)
            row_view(row)
        with block("side"):
            heading(beside.replace("@", " "), 2)
            found = await read(find)
            if found is None:
                line("This version has no row of that id.", "soft")
            else:
                row_view(found)


async def _lineage(site: Site, place: VersionPart, row: Row) -> None:
    with block("card", "section"):
        heading("Where it came from", 2)
        waiting = line("Following its ids …", "soft")
        steps = await read(lambda: site.version_cache.lineage(place, row))
        waiting.delete()
        topic = next((step.topic for step in steps or () if step.topic), "")
        if topic and not row.get("topic"):
            facts({"topic": topic})
        _steps(steps or ())


def _steps(steps: Sequence[Ancestor]) -> None:
    with block("path plain", "ol"):
        for step in steps:
            with block("", "li"):
                if step.dataset:
                    target = f"/data/{step.dataset}/{step.version}/{step.position}"
                    ui.link(f"{step.dataset} {step.version}", target)
                else:
                    line("source record")
                line(step.id, "mono small soft wrap", limit=300)
    if not steps:
        line("It came from nowhere in this lake.", "soft")
