"""What failed, by its message: each group opens its shards, is retried or released as one."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext

from nicegui import ui

from dashboard.site import Site
from dashboard.widgets import block, body, button, heading, line
from parrot_core.monitor.failures import FailureGroup
from parrot_core.text.wording import plural

MOST_GROUPS = 12
MOST_LINKS = 40

Ask = Callable[[FailureGroup], None]


class FailuresPanel:
    """A card that is there while something has failed."""

    def __init__(self, site: Site, run: str, ask: Ask) -> None:
        """Hidden; ``ask`` opens the question before a group is tried again."""
        self._site = site
        self._run = run
        self._ask = ask
        self._shown: tuple[FailureGroup, ...] = ()
        with block("card failures", "section").props('aria-live="polite"') as self._card:
            self._place = block("")
        self._card.set_visibility(False)

    def show(self, groups: Sequence[FailureGroup]) -> None:
        """Show the groups, if they are others than before."""
        if tuple(groups) == self._shown:
            return
        self._shown = tuple(groups)
        self._card.set_visibility(bool(groups))
        self._place.clear()
        with self._place:
            failed = sum(len(group.shards) for group in groups)
            said = (
                f"{plural(failed, 'failed shard')}, by what went wrong" if failed else "What failed"
            )
            heading(said, 2)
            for group in groups[:MOST_GROUPS]:
                self._group(group)
            if len(groups) > MOST_GROUPS:
                line(f"and {len(groups) - MOST_GROUPS} more kinds of failures", "soft")

    def _group(self, group: FailureGroup) -> None:
        where = f"/run/{self._run}/{group.stage}"
        with block("note alarm"):
            with block("row wrap"):
                number = plural(len(group.shards), "shard") if group.shards else "The whole"
                line(f"{number} of {group.stage}", "title alarmed")
                if group.quarantined:
                    line(f"{len(group.quarantined)} in quarantine", "chip failed")
                if group.last_at:
                    line(f"last at {group.last_at:%Y-%m-%d %H:%M:%S} UTC", "soft small")
                block("grow")
                if self._site.actions is not None:
                    said = "Release and retry …" if group.quarantined else "Retry this group …"
                    button(said, lambda: self._ask(group), "outline")
            body(group.text, "", limit=1200)
            with block("row wrap small") if group.shards else nullcontext():
                if group.shards:
                    line("shards", "soft")
                for index in group.shards[:MOST_LINKS]:
                    ui.link(str(index), f"{where}?shard={index}")
                if len(group.shards) > MOST_LINKS:
                    ui.link(f"and {len(group.shards) - MOST_LINKS} more", where)
