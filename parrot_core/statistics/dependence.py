"""Which queries lean on their context, as the rules of ``select`` see it: the one place to ask."""

from typing import Literal

from parrot_core.capo.context_rules import find_cue

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


def kind_of_dependence(query: str, language: str | None) -> Kind | None:
    """What the first cue in a follow-up query is a sign of; None where there is no cue."""
    cue = find_cue(query, language)
    return KINDS.get(cue.name, "other") if cue is not None else None
