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
    """The buttons, what this reviewer said, and what others say unless the review is blind.

    Built once; the next row is shown in the same elements, so that a quick reviewer's clicks and
    keys find them in their place.
    """

    def __init__(self, site: Site, place: VersionPart, marked: Marked | None = None) -> None:
        """Write nothing until a button is pressed; ``marked`` is awaited after each mark."""
        self._site = site
        self._place = place
        self._marked = marked
        self._row_id = ""
        self._marks: list[Mark] = []
        self._blind = False
        self._busy = False
        if site.actions is None:
            with block("card", "section"):
                self._others = block("")
            return
        with block("card marking", "section"):
            self._said = line("", "soft")
            with block("row wrap"):
                for verdict in get_args(Verdict):
                    button(verdict.capitalize(), partial(self.set, verdict), "outline")
            self._reason = ui.select(["", *REASONS], value="").props(
                'dense outlined options-dense label="reason"'
            )
            self._note = ui.input("note").props("dense outlined maxlength=2000")
            self._others = block("")

    def show(self, row_id: str, marks: Sequence[Mark], *, blind: bool = False) -> None:
        """Show a row's marks."""
        self._row_id, self._marks, self._blind = row_id, list(marks), blind
        if self._site.actions is not None:
            mine = self._mine
            self._reason.set_value(mine.reason if mine and mine.reason in REASONS else "")
            self._note.set_value(mine.note if mine else "")
        self._tell()

    def update(self, marks: Sequence[Mark]) -> None:
        """Show what others say by now; what is being typed stays."""
        if list(marks) != self._marks and not self._busy:
            self._marks = list(marks)
            self._tell()

    @property
    def _mine(self) -> Mark | None:
        name = preference(NAME)
        return next((mark for mark in self._marks if mark.by == name), None)

    async def set(self, verdict: Verdict) -> None:
        """Mark the row; the same verdict again, with nothing new to say, takes it back."""
        if self._site.actions is None or self._busy or not self._row_id:
            return  # a key pressed twice marks one row, and doesn't take its mark back
        self._busy = True
        try:
            made = await self._write(verdict)
            if made and self._marked is not None:
                await self._marked()
        finally:
            self._busy = False

    async def _write(self, verdict: Verdict) -> bool:
        """Write the mark, or take it back; whether there is one now."""
        reviews = self._site.version_cache.reviews(self._place)
        row_id, by, mine = self._row_id, preference(NAME), self._mine
        said = (self._reason.value or "", self._note.value or "")
        back = mine is not None and (mine.verdict, mine.reason, mine.note) == (verdict, *said)
        now = datetime.now(UTC)
        made: Mark | None = None
        try:
            if back:
                await in_thread(lambda: reviews.unmark(row_id, by))
            else:
                made = await in_thread(lambda: reviews.mark(row_id, verdict, now, by, *said))
        except (ParrotError, OSError) as error:
            ui.notify(one_line(error, 300), type="negative", timeout=4000)
            return False
        self._marks = [m for m in self._marks if m.by != by] + ([made] if made else [])
        self._tell()
        return made is not None

    def _tell(self) -> None:
        mine = self._mine
        if self._site.actions is not None:
            self._said.set_text(f"{SAID[mine.verdict]} by you" if mine else "not reviewed by you")
        self._others.clear()
        with self._others:
            self._tell_others()

    def _tell_others(self) -> None:
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
