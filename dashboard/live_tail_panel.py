"""The newest dialogues and rejects of a running stage, as they arrive."""

import json
from collections.abc import Sequence

from dashboard.chat import folded
from dashboard.keyed import KeyedChildren
from dashboard.row_preview import labels, preview
from dashboard.row_view import row_view
from dashboard.site import Site
from dashboard.widgets import block, body, chip, heading, in_thread, line
from parrot_core.lake.live_tail import TailRow, read_tails
from parrot_core.monitor import StageState

MOST_SHARDS = 8
MOST_ROWS = 10


class LiveTailPanel:
    """A card that is there while rows come."""

    def __init__(self, site: Site, run: str, stage: str) -> None:
        self._site = site
        self._run = run
        self._stage = stage
        self._shown: Sequence[TailRow] = ()
        with block("card tail", "section") as self._card:
            heading("Newest, as it comes", 2)
            line("Not published yet: an attempt that fails makes them again.", "soft small")
            with block("two"):
                self._sides = {rejected: _Side(rejected) for rejected in (False, True)}
        self._card.set_visibility(False)

    async def look(self, stage: StageState) -> None:
        """Read the newest rows of the shards in work."""
        running = sorted(stage.having("running"), key=lambda s: str(s.advanced_at), reverse=True)
        shards = [shard.index for shard in running[:MOST_SHARDS]]
        if not shards:
            self._card.set_visibility(False)
            return
        storage, run, name = self._site.lake.storage, self._run, self._stage
        found = await in_thread(lambda: read_tails(storage, run, name, shards))
        if found == self._shown:
            return
        self._shown = found
        self._card.set_visibility(bool(found))
        for rejected, side in self._sides.items():
            side.show([each for each in found if each.rejected == rejected][:MOST_ROWS])


class _Side:
    """The newest rows, or rejects; one that a reader has opened stays open."""

    def __init__(self, rejected: bool) -> None:
        self._rows: dict[str, TailRow] = {}
        with block("side"):
            heading(f"Newest {'rejects' if rejected else 'rows'}", 3)
            self._listed: KeyedChildren[str, None] = KeyedChildren(
                block(""), lambda key: _row(self._rows[key])
            )
            self._none = line("none yet", "soft small")

    def show(self, rows: Sequence[TailRow]) -> None:
        """Show them, the newest first."""
        self._rows = {f"{each.shard} {json.dumps(each.row, default=str)}": each for each in rows}
        self._listed.show(self._rows)
        self._none.set_visibility(not rows)


def _row(each: TailRow) -> None:
    row = dict(each.row)
    with block("datum flat"):
        with block("row small"):
            if each.rejected:
                chip("failed", str(row.get("reason", "rejected")))
            line(row.get("id", ""), "mono soft clip grow", limit=80)
            line(f"shard {each.shard}", "soft")
        if not each.rejected:  # a reject's fold begins with why
            line(" · ".join(labels(row)), "soft small")
        with folded(preview(row)[:160] or "Read it"):
            try:
                row_view(row)
            except (LookupError, TypeError, AttributeError):  # cut, or of an older code
                body(str(row), "small", limit=2000)
