"""The rules over turns, one a file: its ``RULE`` is found by its being here.

A new one is a file here with its test, its name in a recipe, and a look at how many real queries it
refuses (``bench/filter_false_positives.py``, docs/explanation/filters.md).
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from parrot_core.recipe import ALL_FILTER_RULES
from parrot_core.stages.filters.rule import FilterRule

RULES: Mapping[str, FilterRule] = MappingProxyType(
    {name: import_module(f"{__name__}.{name}").RULE for name in ALL_FILTER_RULES}
)
"""Every rule by the name that recipes use."""

REASONS: Mapping[str, str] = MappingProxyType({name: rule.reason for name, rule in RULES.items()})
"""What a turn is refused for, by the rule's name."""
