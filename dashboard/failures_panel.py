"""What failed, by its message: each group opens its shards, is retried or released as one."""

from collections.abc import Callable, Sequence

from nicegui import ui

from dashboard.keyed import KeyedChildren
from dashboard.widgets import block, body, button, line
from parrot_core.monitor.failures import FailureGroup
from parrot_core.text.sanitise import one_line, sanitise
from parrot_core.text.wording import plural

MOST_GROUPS = 12
MOST_LINKS = 40

Ask = Callable[[FailureGroup], None]


class FailuresPanel:
    """A card that is there while something has failed."""

    def __init__(self, run: str, ask: Ask | None) -> None:
        """Hidden; ``ask`` opens the question before a group is tried again, where one may act."""
        self._shown: tuple[FailureGroup, ...] = ()
        with block("card failures", "section").props('aria-live="polite"') as self._card:
            with block(tag="h2"):
                self._title = ui.label()
            self._groups: KeyedChildren[tuple[str, str, str], _GroupNote] = KeyedChildren(
                block(""), lambda cause: _GroupNote(f"/run/{run}/{cause[0]}", ask)
            )
            self._more = line("", "soft")
        self._card.set_visibility(False)

    def show(self, groups: Sequence[FailureGroup]) -> None:
        """Show the groups, if they are others than before."""
        if tuple(groups) == self._shown:
            return
        self._shown = tuple(groups)
        self._card.set_visibility(bool(groups))
        failed = sum(len(group.shards) for group in groups)
        self._title.set_text(
            f"{plural(failed, 'failed shard')}, by what went wrong" if failed else "What failed"
        )
        shown = {group.cause: group for group in groups[:MOST_GROUPS]}
        for cause, note in self._groups.show(shown).items():
            note.show(shown[cause])
        left = len(groups) - MOST_GROUPS
        self._more.set_visibility(left > 0)
        self._more.set_text(f"and {left} more kinds of failures")


class _GroupNote:
    """One group; while shards fail its numbers change, its button and links stay."""

    def __init__(self, where: str, ask: Ask | None) -> None:
        self._group: FailureGroup | None = None
        with block("note alarm"):
            with block("row wrap"):
                self._number = line("", "title alarmed")
                self._held = line("", "chip failed")
                self._last = line("", "soft small")
                block("grow")
                self._retry: ui.button | None = None
                if ask is not None:
                    self._retry = button("", lambda: self._group and ask(self._group))
            self._message = body("")
            with block("row wrap small") as self._shards:
                line("shards", "soft")
                links = block("row wrap")
                self._links: KeyedChildren[int, ui.link] = KeyedChildren(
                    links, lambda index: ui.link(str(index), f"{where}?shard={index}")
                )
                self._more = ui.link("", where)

    def show(self, group: FailureGroup) -> None:
        """Show the group as it is."""
        self._group = group
        number = plural(len(group.shards), "shard") if group.shards else "The whole"
        self._number.set_text(f"{number} of {one_line(group.stage)}")
        self._held.set_text(f"{len(group.quarantined)} in quarantine")
        self._held.set_visibility(bool(group.quarantined))
        at = group.last_at
        self._last.set_text(f"last at {at:%Y-%m-%d %H:%M:%S} UTC" if at else "")
        if self._retry is not None:
            held = bool(group.quarantined)
            self._retry.set_text("Release and retry …" if held else "Retry this group …")
        self._message.set_text(sanitise(group.text, 1200))
        self._shards.set_visibility(bool(group.shards))
        self._links.show(group.shards[:MOST_LINKS])
        left = len(group.shards) - MOST_LINKS
        self._more.set_visibility(left > 0)
        self._more.set_text(f"and {left} more")
