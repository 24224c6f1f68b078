"""Rules over the turns of dialogues, one small rule a file; each has a name and gives a reason.

A new rule is a file here, a line in ``RULES``, its name in ``recipe.FilterRule``, a reason in
``schemas.REASONS``, a test, and a look at how many real queries it refuses
(``bench/filter_false_positives.py``, docs/explanation/filters.md).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from parrot_core.engines.types import Message
from parrot_core.recipe import Filter
from parrot_core.stages.filters.answers import Answers
from parrot_core.stages.filters.collapse import Collapse
from parrot_core.stages.filters.copied import Copied
from parrot_core.stages.filters.echo import Echo
from parrot_core.stages.filters.encoding import Encoding
from parrot_core.stages.filters.malformed import Malformed
from parrot_core.stages.filters.refusal import Refusal
from parrot_core.stages.filters.repetitive import Repetitive
from parrot_core.stages.filters.role_confusion import RoleConfusion
from parrot_core.stages.filters.rule import FilterRule, Turn
from parrot_core.stages.filters.sensitive import Sensitive
from parrot_core.stages.filters.short import Short

__all__ = ["RULES", "FilterRule", "Turn", "first_failing", "first_failure"]

RULES: Mapping[str, FilterRule] = MappingProxyType(
    {
        rule.name: rule
        for rule in (
            Malformed(),
            Encoding(),
            Short(),
            RoleConfusion(),
            Answers(),
            Echo(),
            Repetitive(),
            Collapse(),
            Copied(),
            Sensitive(),
            Refusal(),
        )
    }
)
"""Every rule by the name that recipes use."""


def first_failing(turn: Turn, settings: Filter) -> tuple[str, str] | None:
    """The first of the recipe's rules that a turn fails.

    Args:
        turn: the turn, with what came before it.
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
