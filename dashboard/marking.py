"""Keep, flag or unsure: one reviewer's mark on a row, with a reason and a note."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import get_args

from nicegui import ui

from dashboard.preferences import prefer, preference
from dashboard.result_set import VersionPart
from dashboard.site import Site
from dashboard.widgets import block, body, button, in_thread, line
from parrot_core.errors import ParrotError
from parrot_core.lake.reviews import Mark, Verdict
from parrot_core.text.sanitise import one_line

NAME = "reviewer"
SAID = {"keep": "kept", "flag": "flagged", "unsure": "unsure"}
KEYS: dict[str, Verdict] = {"g": "keep", "f": "flag", "u": "unsure"}
REASONS = (
    *("wrong", "unsafe", "repetitive", "off topic", "badly formatted", "personal data"),
    *("wrong language", "other"),
)

Marked = Callable[[], Awaitable[None]]


def reviewer_field() -> ui.input:
    """Who marks; remembered in the browser."""
    field = ui.input("your name", value=preference(NAME), on_change=lambda e: _named(e.value))
    field.props("dense outlined maxlength=60").classes("short-name")
    return field


def _named(name: str | None) -> None:
    prefer(NAME, (name or "").strip())


class Marking:
    """The buttons, what this reviewer said, and what others say unless the review is blind."""

    def __init__(
        self,
        site: Site,
        place: VersionPart,
        row_id: str,
        marks: Sequence[Mark],
        marked: Marked | None = None,
        *,
        blind: bool = False,
    ) -> None:
        """Write nothing until a button is pressed; ``marked`` is awaited after each mark."""
        self._site = site
        self._place = place
        self._row_id = row_id
        self._marks = list(marks)
        self._marked = marked
        self._blind = blind

    def build(self) -> None:
        if self._site.actions is None:
            with block("card", "section"):
                self._others()
            return
        mine = self._mine
        with block("card marking", "section"):
            self._said = line("", "soft")
            with block("row wrap"):
                for verdict in get_args(Verdict):
                    button(verdict.capitalize(), partial(self.set, verdict), "outline")
            self._reason = ui.select(
                ["", *REASONS], value=mine.reason if mine and mine.reason in REASONS else ""
            ).props('dense outlined options-dense label="reason"')
            self._note = ui.input("note", value=mine.note if mine else "")
            self._note.props("dense outlined maxlength=2000")
            self._others()
        self._tell()

    @property
    def _mine(self) -> Mark | None:
        name = preference(NAME)
        return next((mark for mark in self._marks if mark.by == name), None)

    async def set(self, verdict: Verdict) -> None:
        """Mark the row; the same verdict again, with nothing new to say, takes it back."""
        if self._site.actions is None:
            return
        reviews = self._site.version_cache.reviews(self._place)
        by, mine = preference(NAME), self._mine
        said = (self._reason.value or "", self._note.value or "")
        back = mine is not None and (mine.verdict, mine.reason, mine.note) == (verdict, *said)
        now = datetime.now(UTC)
        try:
            if back:
                await in_thread(lambda: reviews.unmark(self._row_id, by))
                made = None
            else:
                made = await in_thread(lambda: reviews.mark(self._row_id, verdict, now, by, *said))
        except (ParrotError, OSError) as error:
            ui.notify(one_line(error, 300), type="negative", timeout=4000)
            return
        self._marks = [m for m in self._marks if m.by != by] + ([made] if made else [])
        self._tell()
        if made is not None and self._marked is not None:
            await self._marked()

    def _tell(self) -> None:
        mine = self._mine
        self._said.set_text(f"{SAID[mine.verdict]} by you" if mine else "not reviewed by you")

    def _others(self) -> None:
        others = [mark for mark in self._marks if mark.by != preference(NAME)]
        if self._blind and self._mine is None:
            line("Others' marks are hidden until you have marked it.", "soft small")
            return
        for mark in others[:8]:
            reason = f", {mark.reason}" if mark.reason else ""
            line(f"{mark.by}: {SAID[mark.verdict]}{reason}", "small")
            if mark.note:
                body(mark.note, "soft small", limit=400)
        if not others and self._site.actions is None:
            line("not reviewed", "soft")
