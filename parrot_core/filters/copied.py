"""A query that many sessions share almost word for word: the asker has a rut."""

from parrot_core.filters.rule import Turn
from parrot_core.recipe import Filter


class Copied:
    """Refuses queries that were asked in more than ``max_copies`` sessions before.

    It only judges the count; :mod:`parrot_core.filters.copies` counts, over the whole version,
    when the stage is planned.
    """

    name = "copied"

    def check(self, turn: Turn, settings: Filter) -> str | None:
        """See :class:`parrot_core.filters.rule.Rule`."""
        if turn.copies <= settings.max_copies:
            return None
        return f"almost the same was asked in {turn.copies} sessions before"
