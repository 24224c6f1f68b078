"""What a filter rule is."""

from collections.abc import Sequence
from typing import Protocol

from parrot_core.engines.types import Message
from parrot_core.recipe import Filter


class Rule(Protocol):
    """One reason to throw a query out. Its ``name`` is in ``schemas.REASONS``."""

    @property
    def name(self) -> str:
        """The name in recipes, metrics and rejects."""
        ...

    def check(self, query: str, earlier: Sequence[Message], settings: Filter) -> str | None:
        """What is wrong with a query, in a few words; None when it passes.

        Args:
            query: the user's text.
            earlier: the conversation before it, oldest message first.
            settings: the recipe's ``filter`` part.
        """
        ...
