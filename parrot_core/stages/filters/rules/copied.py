"""A query that many sessions share almost word for word: the asker repeats itself."""

from parrot_core.recipe import Filter
from parrot_core.stages.filters.rule import FilterRule, Turn


def check(turn: Turn, settings: Filter) -> str | None:
    """Refuses queries that were asked in more than ``max_copies`` sessions before.

    It only judges the count; :mod:`.copies` counts, over the whole version,
    when the stage is planned.
    """
    if turn.copies <= settings.max_copies:
        return None
    return f"almost the same was asked in {turn.copies} sessions before"


RULE = FilterRule("a query that many sessions share almost word for word", check)
