"""A query that repeats an earlier one of its session, or itself.

People do come back to a wording: a template with another subject, a short "continue". So a query
like an earlier one counts as a repeat only if none of its words is new there, words without
content left aside, and a short nudge may come three times.
"""

from collections.abc import Sequence

from parrot_core.engines.types import Message
from parrot_core.filters.similarity import rouge_l_f1, tokens
from parrot_core.recipe import Filter

_COMPARED_TOKENS = 400
_NUDGE_TOKENS = 4
_NUDGE_TIMES = 3
_NGRAM = 3
_LOOP_MIN_TOKENS = 16
_LOOP_MIN_DISTINCT = 0.35
_WITHOUT_CONTENT = frozenset(
    tokens("""
    a an the this that these those it its is are was were be been am do does did can could will
    would shall should may might must have has had i you he she we they me my your his her our
    their them us and or but if then so as of to in on at by for from with about into than too
    very just also please again now more another other some any all what which who whom how why
    when where there here not no yes ok okay s t m re ve ll d let give tell make want need like
    """)
)


class Repetitive:
    """Refuses queries that bring nothing new."""

    name = "repetitive"

    def check(self, query: str, earlier: Sequence[Message], settings: Filter) -> str | None:
        """See :class:`parrot_core.filters.rule.Rule`."""
        own = tokens(query)
        distinct = distinct_ngrams(own)
        if len(own) >= _LOOP_MIN_TOKENS and distinct < _LOOP_MIN_DISTINCT:
            return f"repeats itself ({distinct:.0%} of its word triples are distinct)"
        others = [tokens(m["content"]) for m in earlier if m["role"] == "user"]
        times = 1 + others.count(own)
        if times > (_NUDGE_TIMES if len(own) <= _NUDGE_TOKENS else 1):
            return f"the same as query {others.index(own) + 1}"
        return _near_repeat(own, others, settings.max_similarity)


def _near_repeat(own: list[str], others: list[list[str]], max_similarity: float) -> str | None:
    content = set(own) - _WITHOUT_CONTENT
    for turn, other in enumerate(others, start=1):
        if own == other or not content <= set(other):
            continue
        similarity = rouge_l_f1(own[:_COMPARED_TOKENS], other[:_COMPARED_TOKENS])
        if similarity > max_similarity:
            return f"ROUGE-L {similarity:.2f} with query {turn}, and no new word"
    return None


def distinct_ngrams(words: Sequence[str]) -> float:
    """Share of a text's word triples that are distinct; 1 for a text without any."""
    ngrams = list(zip(*(words[offset:] for offset in range(_NGRAM)), strict=False))
    return len(set(ngrams)) / len(ngrams) if ngrams else 1.0
