"""A query that repeats an earlier one of its session, or itself.

People do come back to a wording: a template with another subject, a short "continue". So a query
like an earlier one counts as a repeat only if none of its words is new there, words without
content left aside. A nudge of a few words may come six times, and a short query that leans on what
was said last ("make this shorter") three times: it asks for something else each time.
"""

from collections.abc import Sequence

from parrot_core.context import detect
from parrot_core.recipe import Filter
from parrot_core.stages.filters.rule import FilterRule, Turn
from parrot_core.text.similarity import WITHOUT_CONTENT, rouge_l_f1, tokens

_COMPARED_TOKENS = 400
_NUDGE_TOKENS = 4
_NUDGE_TIMES = 6
_LEANING_TOKENS = 20
_LEANING_TIMES = 3
_NEAR_MIN_TOKENS = 5
_NGRAM = 3
_LOOP_MIN_TOKENS = 16
_LOOP_MIN_DISTINCT = 0.35


def check(turn: Turn, settings: Filter) -> str | None:
    """Refuses queries that bring nothing new."""
    own = tokens(turn.query)
    distinct = distinct_ngrams(own)
    if len(own) >= _LOOP_MIN_TOKENS and distinct < _LOOP_MIN_DISTINCT:
        return f"repeats itself ({distinct:.0%} of its word triples are distinct)"
    asked = [message["content"] for message in turn.earlier if message["role"] == "user"]
    turn.heard.queries += map(tokens, asked[len(turn.heard.queries) :])
    others = turn.heard.queries[: len(asked)]
    times = 1 + others.count(own)
    if times > 1 and times > _allowed_times(turn, len(own)):
        return f"the same as query {others.index(own) + 1}"
    return _near_repeat(own, others, settings.max_similarity)


def _allowed_times(turn: Turn, size: int) -> int:
    if size <= _NUDGE_TOKENS:
        return _NUDGE_TIMES
    leans = size <= _LEANING_TOKENS and detect(turn.query, turn.earlier).depends
    return _LEANING_TIMES if leans else 1


def _near_repeat(own: list[str], others: list[list[str]], max_similarity: float) -> str | None:
    if len(own) < _NEAR_MIN_TOKENS:
        return None
    content = set(own) - WITHOUT_CONTENT
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


RULE = FilterRule("a query that repeats an earlier one, or itself", check)
