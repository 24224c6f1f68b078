"""A query that is too short to carry a conversation on."""

import re

from parrot_core.recipe import Filter
from parrot_core.stages.filters.rule import FilterRule, Turn

_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_WIDE_WORTH = 3  # a character of these scripts says about what three letters say


def check(turn: Turn, settings: Filter) -> str | None:
    """Refuses queries below the recipe's minimum of characters."""
    text = turn.query.strip()
    length = len(text)
    if length < settings.min_query_chars:  # only then is it worth counting
        length += (_WIDE_WORTH - 1) * len(_WIDE.findall(text))
    if length >= settings.min_query_chars:
        return None
    return f"{length} of {settings.min_query_chars} characters"


RULE = FilterRule("a query that is too short", check)
