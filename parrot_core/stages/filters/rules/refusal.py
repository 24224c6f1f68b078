"""A turn whose answer refuses: nothing to learn from, and what follows is about the refusal."""

from parrot_core.recipe import Filter
from parrot_core.stages.filters.rule import Turn
from parrot_core.text.refusals import refuses


class Refusal:
    """Refuses turns that were not answered."""

    name = "refusal"
    reason = "an answer refuses"

    def check(self, turn: Turn, settings: Filter) -> str | None:
        if turn.response is None or not refuses(turn.response):
            return None
        return f"the answer refuses: {' '.join(turn.response.split())[:60]!r}"


RULE = Refusal()
