"""A conversation that has run dry: turn after turn without a new word, or an answer in a loop."""

from parrot_core.recipe import Filter
from parrot_core.stages.filters.rule import Turn
from parrot_core.stages.filters.rules.repetitive import distinct_ngrams
from parrot_core.text.similarity import WITHOUT_CONTENT, tokens

_TURNS = 3
_LEAST_WORDS = 8
_LEAST_NEW = 0.1
_LOOP_MIN_TOKENS = 40
_LOOP_MIN_DISTINCT = 0.25
_READ_CHARS = 4000


class Collapse:
    """Refuses a turn that makes the third in a row with hardly a new word, or whose answer loops.

    Counted are words with content of query and answer together, against all earlier turns.
    """

    name = "collapse"
    reason = "turn after turn without a new word, or an answer in a loop"

    def check(self, turn: Turn, settings: Filter) -> str | None:
        if turn.response is not None:
            answer = tokens(turn.response[:_READ_CHARS])
            distinct = distinct_ngrams(answer)
            if len(answer) >= _LOOP_MIN_TOKENS and distinct < _LOOP_MIN_DISTINCT:
                return f"the answer loops ({distinct:.0%} of its word triples are distinct)"
        texts = [message["content"] for message in turn.earlier]
        turns = [" ".join(texts[at : at + 2]) for at in range(0, len(texts), 2)]
        turns.append(f"{turn.query} {turn.response or ''}")
        if len(turns) <= _TURNS:
            return None
        newest = 0.0
        for place in range(len(turns) - 1, len(turns) - 1 - _TURNS, -1):
            newest = max(newest, _newness(turns, place))
            if newest >= _LEAST_NEW:
                return None
        return f"at most {newest:.0%} new words in each of the last {_TURNS} turns"


def _newness(turns: list[str], place: int) -> float:
    """Share of a turn's words with content that no turn before it had; 1 if it has few words."""
    own = _content(turns[place])
    if len(own) < _LEAST_WORDS:
        return 1.0
    before: set[str] = set().union(*(_content(text) for text in turns[:place]))
    return len(own - before) / len(own)


def _content(text: str) -> set[str]:
    return set(tokens(text[: 2 * _READ_CHARS])) - WITHOUT_CONTENT


RULE = Collapse()
