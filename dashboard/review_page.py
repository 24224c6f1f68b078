"""A reviewer's desk: a random sample, row by row, marked by each reviewer on their own."""

import io
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import combinations

import pyarrow as pa
import pyarrow.parquet as pq
from nicegui import PageArguments, ui
from nicegui.events import KeyEventArguments

from dashboard.chat import WayOfReading, read_as
from dashboard.marking import KEYS, NAME, Marking, reviewer_field
from dashboard.preferences import prefer, preference
from dashboard.result_set import VersionPart
from dashboard.row_view import row_facts, row_view, siblings_of
from dashboard.site import Site
from dashboard.widgets import block, button, heading, in_thread, line, read, section, title
from parrot_core.browse.agreement import agreement
from parrot_core.errors import ParrotError
from parrot_core.lake.reviews import Mark, by_row, verdicts_by
from parrot_core.lake.row_lookup import Row
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import plural

SAMPLE = 200
OTHERS_EVERY_S = 4.0
BLIND = "blind"
HALVES = {"0": "the whole sample", "1": "its first half", "2": "its second half"}
MOST_PAIRS = 6


async def review_page(site: Site, args: PageArguments, dataset: str, version: str) -> None:
    """Build the page; seed and half of the sample are in its address, so that it can be shared."""
    query = args.query_parameters
    title("Review", f"{dataset} {version}")
    place = VersionPart(dataset, version)
    lookup = await read(lambda: site.version_cache.lookup(place))
    if lookup is None:
        return
    seed = query.get("seed", "1")
    number = int(seed[:12]) if seed.isdecimal() else 1
    half = query.get("half", "0") if query.get("half") in HALVES else "0"
    page = _ReviewPage(site, place, half_of(sample(len(lookup), number), half), number, half)
    await page.build()


def sample(rows: int, seed: int, size: int = SAMPLE) -> list[int]:
    """Positions drawn without replacement, decided by the seed."""
    return random.Random(seed).sample(range(rows), min(size, rows))


def half_of(positions: list[int], half: str) -> list[int]:
    """The whole sample, or every second row of it, so that two reviewers share the work."""
    return positions if half not in ("1", "2") else positions[int(half) - 1 :: 2]


class _ReviewPage:
    def __init__(
        self, site: Site, place: VersionPart, positions: list[int], seed: int, half: str
    ) -> None:
        self._site = site
        self._place = place
        self._positions = positions
        self._seed = seed
        self._half = half
        self._at = 0
        self._marks: list[Mark] = []
        self._ids: list[str] = []
        self._row: Row | None = None
        self._siblings: Sequence[Row] = ()
        self._shown = 0  # how often a row was asked for: only the last one is shown
        self._reviewer = ""
        self._told: tuple[object, ...] = ()

    async def build(self) -> None:
        where = f"{self._place.dataset}/{self._place.version}"
        with block("row head"):
            ui.link(where.replace("/", " "), f"/data/{where}").classes("crumb")
            heading("Review")
            self._said = line("", "soft").props('aria-live="polite"')
            block("grow")
            ui.link("Another sample", f"/review/{where}?seed={self._seed + 1}").classes("button")
        with block("card filters", "section"):
            with block("row wrap"):
                self._choices()
            with block("row wrap"):
                self._export()
        with block("reading"):
            with block("text-side"):
                self._read_anew = read_as(self._read)
            with block("aside", "aside"):
                with block("row"):
                    button("← Back", lambda: self._go(-1), "flat")
                    button("Next →", lambda: self._go(1), "outline")
                self._marking = Marking(self._site, self._place, self._next)
                self._facts = block("card", "section")
        with section("How far everybody is") as self._everybody:
            self._progress = block("")
        ui.keyboard(on_key=self._key)
        await self._read_sample()
        await self._read_marks()
        await self._resume()
        ui.timer(OTHERS_EVERY_S, self._look, immediate=False)

    def _choices(self) -> None:
        """Who reads what, and how; it stands above all that grows, so that no click is missed."""
        if self._site.actions is not None:
            reviewer_field().on("blur", self._named)
        ui.select(HALVES, value=self._half, label="read", on_change=self._halve).props(
            "dense outlined options-dense"
        )
        blind = ui.switch("blind", value=preference(BLIND) == "1", on_change=self._blind)
        blind.tooltip("Hides who wrote what, and others' marks until you have marked a row.")
        keys = "j next · k back · g keep · f flag · u unsure"
        line(keys if self._site.actions else "j next · k back", "soft small")

    async def _read_sample(self) -> None:
        site, place, positions = self._site, self._place, self._positions
        rows = await read(lambda: site.version_cache.lookup(place).read(positions, ["id"]))
        self._ids = [row["id"] for row in rows or ()]

    async def _look(self) -> None:
        """See what others have marked by now."""
        await self._read_marks()
        if self._row is not None:
            self._marking.update(self._on(self._row))
            self._tell()

    async def _read_marks(self) -> None:
        try:
            reviews = self._site.version_cache.reviews(self._place)
            self._marks = await in_thread(reviews.marks)
        except (ParrotError, OSError) as error:
            self._said.set_text(one_line(error, 300))

    def _on(self, row: Row) -> list[Mark]:
        return [mark for mark in self._marks if mark.id == row["id"]]

    def _tell(self) -> None:
        """Tell how far everybody is."""
        of_sample = set(self._ids)
        marks = [mark for mark in self._marks if mark.id in of_sample]
        told = (self._at, tuple(sorted((m.by, m.id, m.verdict) for m in marks)))
        if told == self._told:
            return
        self._told = told
        flagged = sum(mark.verdict == "flag" for mark in marks)
        rows = len(by_row(marks))
        self._said.set_text(
            f"{self._at + 1} of {len(self._positions)} · {rows} marked, {flagged} flagged"
        )
        self._tell_progress(marks)

    def _tell_progress(self, marks: Sequence[Mark]) -> None:
        """How far each reviewer is, and how far any two agree."""
        verdicts = verdicts_by(marks)
        self._everybody.set_visibility(bool(verdicts))
        self._progress.clear()
        with self._progress:
            for name, given in sorted(verdicts.items()):
                counts = Counter(given.values())
                said = ", ".join(f"{counts[v]} {v}" for v in ("keep", "flag", "unsure"))
                line(f"{name}: {len(given)} of {len(self._ids)} ({said})", "small")
            for one, other in list(combinations(sorted(verdicts), 2))[:MOST_PAIRS]:
                found = agreement(verdicts[one], verdicts[other])
                if found.rows:
                    kappa = "none" if found.kappa is None else f"{found.kappa:.2f}"
                    both = plural(found.rows, "row")
                    said = f"{one} and {other} agree on {found.same:.0%} of {both}"
                    line(f"{said}; Cohen's κ {kappa}", "small")

    async def _named(self) -> None:
        """Another reviewer goes on where they stopped."""
        if preference(NAME) != self._reviewer:
            await self._resume()

    async def _resume(self) -> None:
        """Go where this reviewer stopped: to the first row they have not marked."""
        self._reviewer = preference(NAME)
        mine = verdicts_by(self._marks).get(self._reviewer, {})
        left = (n for n, row_id in enumerate(self._ids) if row_id not in mine)
        self._at = next(left, max(0, len(self._ids) - 1))
        await self._show()

    async def _show(self) -> None:
        if not self._positions:
            self._said.set_text("This version has no rows.")
            return
        self._shown += 1
        asked = self._shown
        site, place, position = self._site, self._place, self._positions[self._at]
        rows = await read(lambda: site.version_cache.lookup(place).read([position]))
        if not rows or asked != self._shown:
            return
        siblings = await read(lambda: siblings_of(site, place, rows[0]))
        await self._read_marks()
        if asked != self._shown:
            return
        row = self._row = rows[0]
        self._siblings = siblings or ()
        blind = preference(BLIND) == "1"
        self._marking.show(row["id"], self._on(row), blind=blind)
        self._read_anew()
        self._facts.clear()
        with self._facts:
            line(row["id"], "mono small wrap", limit=300)
            if not blind:
                row_facts(row)
        self._tell()

    def _read(self) -> None:
        """The row itself."""
        if self._row is not None:
            row_view(self._row, self._siblings, WayOfReading(blind=preference(BLIND) == "1"))

    async def _next(self) -> None:
        await self._go(1)

    async def _go(self, step: int) -> None:
        self._at = max(0, min(len(self._positions) - 1, self._at + step))
        await self._show()

    async def _key(self, event: KeyEventArguments) -> None:
        if not event.action.keydown or event.modifiers.ctrl or event.modifiers.meta:
            return
        key = str(event.key)
        if key in ("j", "k"):
            await self._go(1 if key == "j" else -1)
        elif key in KEYS:
            await self._marking.set(KEYS[key])

    def _halve(self, event: object) -> None:
        half = str(getattr(event, "value", "0"))
        where = f"/review/{self._place.dataset}/{self._place.version}"
        ui.navigate.to(f"{where}?seed={self._seed}" + (f"&half={half}" if half != "0" else ""))

    async def _blind(self, event: object) -> None:
        prefer(BLIND, "1" if getattr(event, "value", False) else "0")
        await self._show()

    def _export(self) -> None:
        """Freeze what is flagged under a name for a recipe's filter; or take the marks along."""
        button("Download the reviewed rows", self._download, "outline")
        if self._site.actions is None:
            line("Marks can't be saved: this dashboard is read-only.", "soft")
            return
        block("grow")
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

        button("Export", export, "outline")

    async def _download(self) -> None:
        """All rows that anybody marked, with the marks, as a Parquet file."""
        site, place = self._site, self._place
        data = await read(lambda: reviewed(site, place))
        if data is not None:
            ui.download.content(data, f"{place.dataset}-{place.version}-reviewed.parquet")


def reviewed(site: Site, place: VersionPart) -> bytes:
    """The marked rows of a version with a column ``reviews``: a dataset of one file."""
    marks = by_row(site.version_cache.reviews(place).marks())
    index, lookup = site.version_cache.index(place), site.version_cache.lookup(place)
    rows = lookup.read(index.having_ids(list(marks)))
    for row in rows:
        row["reviews"] = [mark.model_dump(exclude={"id"}) for mark in marks[row["id"]]]
    said = ("by", "verdict", "reason", "note", "at")
    review = pa.struct([pa.field(name, pa.string()) for name in said])
    schema = lookup.schema().append(pa.field("reviews", pa.list_(review)))
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    return sink.getvalue()
