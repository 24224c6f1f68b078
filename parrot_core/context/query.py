"""What every context rule sees: the user's own words of a query, apart from pasted material."""

import re
from dataclasses import dataclass
from functools import cached_property

HEAD_CHARS = 400
"""How much of a query is read for cues: people say what they want first, then paste."""

_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_PASTED = re.compile(r":\s*\n|:\s+(?=\S.{60})|\n\s*\n|:\s*[\"“'‘]|\n(?=\s*[#<{(\[|*/\d-])")
_LEAD = re.compile(
    r"^(?:\s|[,.!;:–—-]|\b(?:ok(?:ay)?|great|good|nice|cool|perfect|excellent|awesome|wow|hi|hello"
    r"|hey|thanks?|thank you(?: (?:so|very) much)?|thx|please|pls|alright|all right|well|hmm+|oh"
    r"|sorry|i see|got it|very|job|work)\b)+",
    re.IGNORECASE,
)
_ANTECEDENT = re.compile(
    r"\b(?:an?|the|my|our|some|each|every|two|three|four|five|several|many)\s+(?:[\w'-]+\s+){0,2}?"
    r"(?!above|previous|same|other|first|second|third|last|next)[A-Za-z][\w'-]{2,}"
    r"|(?<=[a-z,] )[A-Z][\w-]+|\b[A-Z]{2,}\b|[\"“'‘][^\"”'’]{3,}[\"”'’]|\bif (?:i|we|you) \w+ \w+"
    r"|\b(?:people|users|children|students|customers|employees|companies|anyone|someone|everyone)\b"
)


@dataclass(frozen=True)
class Query:
    """A query as the rules read it.

    Attributes:
        text: the whole query.
        history: the texts of the messages before it, oldest first.
    """

    text: str
    history: tuple[str, ...] = ()

    @cached_property
    def head(self) -> str:
        """The user's own words: up to the first pasted block, at most :data:`HEAD_CHARS`.

        Always a prefix of :attr:`text`, so that spans in it are spans in the query.
        """
        text = self.text[:HEAD_CHARS]
        fence = _FENCE.search(text)
        if fence:
            text = text[: fence.start()]
        cut = _PASTED.search(text, len(text) - len(text.lstrip()) + 1)
        if cut and text[: cut.start()].strip():
            text = text[: cut.start()]
        return text

    @cached_property
    def start(self) -> int:
        """Where the request begins, after a courtesy such as "Thanks!" or "ok, please"."""
        lead = _LEAD.match(self.head)
        return lead.end() if lead else 0

    @cached_property
    def words(self) -> int:
        """Words of the request (without the courtesy)."""
        return len(self.head[self.start :].split())

    @cached_property
    def brings_material(self) -> bool:
        """Whether the query carries the thing it talks about: pasted text, code, a quotation."""
        return len(self.text) - len(self.head) >= 40

    def bound(self, position: int) -> bool:
        """Whether a noun phrase before ``position`` may be what a pronoun there stands for.

        A cheap test: an article or a number with a noun, a name, a quotation.
        """
        return _ANTECEDENT.search(self.head[self.start : position]) is not None
