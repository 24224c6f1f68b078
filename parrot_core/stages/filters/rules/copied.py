"""A query that many sessions share almost word for word: the asker repeats itself."""

from parrot_core.recipe import Filter
from parrot_core.stages.filters.rule import Turn


class Copied:
    """Refuses queries that were asked in more than ``max_copies`` sessions before.

    It only judges the count; :mod:`.copies` counts, over the whole version,
    when the stage is planned.
    """

    name = "copied"
    reason = "a query that many sessions share almost word for word"

    def check(self, turn: Turn, settings: Filter) -> str | None:
        if turn.copies <= settings.max_copies:
            return None
        return f"almost the same was asked in {turn.copies} sessions before"


RULE = Copied()
