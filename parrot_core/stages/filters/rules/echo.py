"""A query that says the last answer again, word for word."""

from collections.abc import Sequence

from parrot_core.recipe import Filter
from parrot_core.stages.filters.rule import FilterRule, Turn
from parrot_core.text.similarity import tokens

_NGRAM = 5
_LEAST_TOKENS = 10
_MOST_SHARED = 0.9
_READ_CHARS = 4000


def check(turn: Turn, settings: Filter) -> str | None:
    """Refuses queries of which nine tenths of the word 5-grams are in the last answer.

    People quote an answer too, but with a word of their own: *explain this*.
    """
    if not turn.earlier:
        return None
    own = tokens(turn.query[:_READ_CHARS])
    if len(own) < _LEAST_TOKENS:
        return None
    grams = _ngrams(own)
    shared = len(grams & _ngrams(tokens(turn.earlier[-1]["content"]))) / len(grams)
    return f"{shared:.0%} of it is in the last answer" if shared >= _MOST_SHARED else None


def _ngrams(words: Sequence[str]) -> set[tuple[str, ...]]:
    return set(zip(*(words[offset:] for offset in range(_NGRAM)), strict=False))


RULE = FilterRule("a query that says the last answer again", check)
