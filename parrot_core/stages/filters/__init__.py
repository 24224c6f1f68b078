"""Rules over the turns of dialogues: which of them a turn fails."""

from collections.abc import Sequence

from parrot_core.engines.types import Message
from parrot_core.recipe import Filter
from parrot_core.stages.filters.rule import FilterRule, Turn
from parrot_core.stages.filters.rules import RULES

__all__ = ["RULES", "FilterRule", "Turn", "first_failing", "first_failure"]


def first_failing(turn: Turn, settings: Filter) -> tuple[str, str] | None:
    """The first of the recipe's rules that a turn fails.

    Args:
        settings: the recipe's ``filter`` part; its ``rules`` are applied in their order.

    Returns:
        The rule's name and what is wrong, in a few words; None when the turn passes all.
    """
    for name in settings.rules:
        if detail := RULES[name].check(turn, settings):
            return name, detail
    return None


def first_failure(
    query: str, earlier: Sequence[Message], settings: Filter
) -> tuple[str, str] | None:
    """:func:`first_failing` for a query that has no answer yet, such as a seed."""
    return first_failing(Turn(query, earlier), settings)
