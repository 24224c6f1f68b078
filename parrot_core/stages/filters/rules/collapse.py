"""Finds collapsed conversations: turns without new words, or an answer that loops."""

from parrot_core.recipe import Filter
from parrot_core.stages.filters.rule import FilterRule, Heard, Turn
from parrot_core.stages.filters.rules.repetitive import distinct_ngrams
from parrot_core.text.similarity import WITHOUT_CONTENT, tokens

_TURNS = 3
_LEAST_WORDS = 8
_LEAST_NEW = 0.1
_LOOP_MIN_TOKENS = 40
_LOOP_MIN_DISTINCT = 0.25
_READ_CHARS = 4000


def check(turn: Turn, settings: Filter) -> str | None:
    """Refuses a turn that makes the third in a row with hardly a new word, or whose answer loops.

    Counted are words with content of query and answer together, against all earlier turns.
    """
    if turn.response is not None:
        answer = tokens(turn.response[:_READ_CHARS])
        distinct = distinct_ngrams(answer)
        if len(answer) >= _LOOP_MIN_TOKENS and distinct < _LOOP_MIN_DISTINCT:
            return f"the answer loops ({distinct:.0%} of its word triples are distinct)"
    if len(turn.earlier) <= 2 * (_TURNS - 1):
        return None
    newest = max(_newness(turn))
    if newest >= _LEAST_NEW:
        return None
    return f"at most {newest:.0%} new words in each of the last {_TURNS} turns"


def _newness(turn: Turn) -> list[float]:
    """Of this turn and the last ones before it, the share of their words with content that no turn
    before had; 1 for one of few words.
    """
    heard, place = turn.heard, (len(turn.earlier) + 1) // 2
    for start in range(2 * len(heard.newness), len(turn.earlier), 2):
        said = [message["content"] for message in turn.earlier[start : start + 2]]
        _hear(" ".join(said), heard)
    if len(heard.newness) == place:
        _hear(f"{turn.query} {turn.response or ''}", heard)
    return heard.newness[place + 1 - _TURNS : place + 1]


def _hear(text: str, heard: Heard) -> None:
    own = _content(text)
    new = own - heard.words
    heard.newness.append(1.0 if len(own) < _LEAST_WORDS else len(new) / len(own))
    heard.words |= new


def _content(text: str) -> set[str]:
    return set(tokens(text[: 2 * _READ_CHARS])) - WITHOUT_CONTENT


RULE = FilterRule("turn after turn without a new word, or an answer in a loop", check)
