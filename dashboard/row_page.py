"""One row: read it, see where it came from, hold it against another version, mark it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from nicegui import ui
from nicegui.events import KeyEventArguments

from dashboard.row_view import row_facts, row_view, siblings_of
from dashboard.site import Site
from dashboard.version_cache import VersionPart
from dashboard.widgets import act, block, facts, heading, line, read
from parrot_core.browse.lineage import Ancestor
from parrot_core.lake.reviews import Mark, Verdict
from parrot_core.lake.row_lookup import Part, Row
from parrot_core.text.wording import count, plural

COMPARABLE = frozenset({"records", "conversations", "dialogues", "parrot"})
"""Datasets of whole sessions: their rows keep the session's id from one to the next."""


async def row_page(
    site: Site, dataset: str, version: str, position: str, part: str = "rows", beside: str = ""
) -> None:
    """Build the page; ``beside`` is a version to show it beside, as ``dataset@version``."""
    kind: Part = "rejects" if part == "rejects" else "rows"
    place = VersionPart(dataset, version, kind)
    here = int(position) if position.isdecimal() else 0
    lookup = await read(lambda: site.version_cache.lookup(place))
    if lookup is None:
        return
    if here >= len(lookup):
        heading(f"{dataset} {version}")
        line(f"It has {plural(len(lookup), kind.removesuffix('s'))}, none at {here + 1:,}.", "soft")
        return
    _head(place, here, len(lookup))
    rows = await read(lambda: lookup.read([here]))
    if not rows:
        return
    row = rows[0]
    siblings = await read(lambda: siblings_of(site, place, row)) or []
    with block("reading"):
        with block("text-side"):
            if beside:
                await _side_by_side(site, place, row, beside)
            else:
                row_view(row, siblings)
        with block("aside", "aside"):
            await mark_buttons(site, place, row["id"])
            with block("card", "section"):
                line(row["id"], "mono small wrap", limit=300)
                row_facts(row)
            await _compare(site, place, here, beside)
            await _lineage(site, place, row)


def _head(place: VersionPart, here: int, rows: int) -> None:
    where = f"/data/{place.dataset}/{place.version}"
    part = "?part=rejects" if place.part == "rejects" else ""
    with block("row head"):
        ui.link(f"{place.dataset} {place.version}", where + part).classes("crumb")
        heading(f"Row {here + 1:,} of {count(rows)}")
        block("grow")
        if here > 0:
            ui.link("← Previous", f"{where}/{here - 1}{part}").classes("button")
        if here + 1 < rows:
            ui.link("Next →", f"{where}/{here + 1}{part}").classes("button")

    def key(event: KeyEventArguments) -> None:
        if not event.action.keydown or event.modifiers.ctrl or event.modifiers.meta:
            return
        if str(event.key) == "j" and here + 1 < rows:
            ui.navigate.to(f"{where}/{here + 1}{part}")
        elif str(event.key) == "k" and here > 0:
            ui.navigate.to(f"{where}/{here - 1}{part}")

    ui.keyboard(on_key=key)


async def mark_buttons(site: Site, place: VersionPart, row_id: str) -> None:
    """Keep or flag a row."""
    marks = await read(lambda: site.version_cache.reviews(place).marks())
    if marks is None or place.part != "rows":
        return
    with block("card row", "section"):
        marking = Marking(site, place, row_id, marks.get(row_id))
        marking.build()


class Marking:
    """The two buttons, and which of them holds."""

    def __init__(self, site: Site, place: VersionPart, row_id: str, mark: Mark | None) -> None:
        """Nothing is written until a button is pressed."""
        self._site = site
        self._place = place
        self._row_id = row_id
        self.verdict: Verdict | None = mark.verdict if mark else None

    def build(self) -> None:
        """Show them."""
        self._said = line("", "soft grow")
        self._tell()
        if self._site.actions is None:
            return
        verdicts: tuple[Verdict, ...] = ("keep", "flag")
        for verdict in verdicts:
            button = ui.button(verdict.capitalize(), on_click=partial(self.set, verdict))
            button.props("outline dense no-caps")

    def set(self, verdict: Verdict) -> None:
        """Mark the row; the same verdict again takes it back."""
        if self._site.actions is None:
            return
        reviews = self._site.version_cache.reviews(self._place)
        if self.verdict == verdict:
            act(lambda: reviews.unmark(self._row_id), "No mark any more.")
            self.verdict = None
        else:
            act(lambda: reviews.mark(self._row_id, verdict, datetime.now(UTC)), "Saved.")
            self.verdict = verdict
        self._tell()

    def _tell(self) -> None:
        told = {None: "not reviewed", "keep": "kept", "flag": "flagged"}
        self._said.set_text(told[self.verdict])


async def _compare(site: Site, place: VersionPart, here: int, beside: str) -> None:
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
    where = f"/data/{place.dataset}/{place.version}/{here}"
    with block("card", "section"):
        ui.select(
            {"": "no other version", **{each: each for each in others}},
            value=beside if beside in others else "",
            label="side by side with",
            on_change=lambda e: ui.navigate.to(f"{where}?beside={e.value}" if e.value else where),
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
