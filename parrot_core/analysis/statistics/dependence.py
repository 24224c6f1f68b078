"""Which queries lean on their context, as ``select`` sees it: the one place to ask."""

from typing import Literal

from parrot_core.analysis.statistics.session import Session
from parrot_core.context import detect

Kind = Literal["anaphora", "ellipsis", "other"]

KINDS: dict[str, Kind] = {
    "pronoun": "anaphora",
    "demonstrative": "anaphora",
    "definite": "anaphora",
    "comparative": "anaphora",
    "ellipsis": "ellipsis",
    "continuation": "ellipsis",
    "fragment": "ellipsis",
}
"""What a cue is a sign of; talk about the talk and edits are ``other``."""


def kind_of_dependence(session: Session, turn: int) -> Kind | None:
    """What the surest cue in the query of a turn is a sign of; None where there is no cue.

    Turns are counted from 1, and the opening query depends on nothing.
    """
    query, history = session.queries[turn - 1], session.history(turn)
    cues = detect(query, history, session.language).cues if turn > 1 else ()
    return KINDS.get(cues[0].kind, "other") if cues else None
