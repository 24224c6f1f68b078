"""Rules over queries, one small rule a file; each has a name and gives a reason.

A new rule is a file here, a line in ``RULES``, its name in ``recipe.FilterRule``, a reason in
``schemas.REASONS``, and a test.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from parrot_core.engines.types import Message
from parrot_core.filters.malformed import Malformed
from parrot_core.filters.repetitive import Repetitive
from parrot_core.filters.rule import Rule
from parrot_core.filters.sensitive import Sensitive
from parrot_core.filters.short import Short
from parrot_core.recipe import Filter

RULES: Mapping[str, Rule] = MappingProxyType(
    {rule.name: rule for rule in (Malformed(), Short(), Repetitive(), Sensitive())}
)
"""Every rule by the name that recipes use."""


def first_failure(
    query: str, earlier: Sequence[Message], settings: Filter
) -> tuple[str, str] | None:
    """The first of the recipe's rules that a query fails.

    Args:
        query: the user's text.
        earlier: the conversation before it, oldest message first; empty for an opening query.
        settings: the recipe's ``filter`` part; its ``rules`` are applied in their order.

    Returns:
        The rule's name and what is wrong, in a few words; None when the query passes all.
    """
    for name in settings.rules:
        if detail := RULES[name].check(query, earlier, settings):
            return name, detail
    return None
