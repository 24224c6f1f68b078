"""A turn whose answer refuses: nothing to learn from, and what follows is about the refusal."""

from parrot_core.recipe import Filter
from parrot_core.stages.filters.rule import FilterRule, Turn
from parrot_core.text.refusals import refuses


def check(turn: Turn, settings: Filter) -> str | None:
    """Refuses turns that were not answered."""
    if turn.response is None or not refuses(turn.response):
        return None
    return f"the answer refuses: {' '.join(turn.response.split())[:60]!r}"


RULE = FilterRule("an answer refuses", check)
