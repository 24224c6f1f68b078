"""What every context rule sees: the user's own words of a query, apart from pasted material."""

import re
from dataclasses import dataclass
from functools import cached_property

HEAD_CHARS = 400
"""How much of a query is read for cues: people say what they want first, then paste."""

_MATERIAL_CHARS = 15

_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_PASTED = re.compile(
    r":\s*\n|:\s+(?=\S.{60})|\n\s*\n|:\s*[\"“'‘]|\n(?=\s*[#<{(\[|*/\d-])"
    r"|[?.]\s+(?=[<{\[^/#\\|])|：\s*[“\"「\n]"
)
_LEAD = re.compile(
    r"^(?:\s|[,.!;:–—-]|sorry (?:if|for|to)\b[^,.?!\n]{0,60}[,.](?: but\b)?"
    r"|\b(?:ok(?:ay)?|great|good|nice|cool|perfect|excellent|awesome|fantastic"
    r"|amazing|brilliant|lovely|beautiful|wow|hi|hello"
    r"|hey|thanks?|thank you(?: (?:so|very) much)?|thx|please|pls|alright|all right|well|hmm+|oh"
    r"|sorry|i see|got it|very|job|work|lol|haha|gpt|chatgpt)\b(?!['’-]))+",
    re.IGNORECASE,
)
_DETERMINER = (
    r"(?i:an?|the|my|our|your|some|each|every|two|three|four|five|several|most|all)\s+"
    r"(?:[\w'-]+\s+){0,2}?(?!(?:above|previous|same|other|first|second|third|last|next)\b)"
    r"[A-Za-z][\w'-]{2,}"
)
_ANTECEDENT = re.compile(
    rf"\b{_DETERMINER}|(?<=[a-z,] )[A-Z][\w-]+|\b[A-Z]{{2,}}\b|[\"“][^\"”]{{3,}}[\"”]"
    r"|(?<!\w)['‘][^'’]{3,}['’](?!\w)"
    r"|\b[Ii]f (?:i|I|we|you) \w+ \w+|\b(?:anyone|someone|everyone|people|children)\b"
)
_PLURAL = re.compile(
    r"\b(?!(?:this|its|his|does|was|has|is|us|yes|always|as|plus|less|times|days|thus|perhaps)\b)"
    r"[A-Za-z]{2,}s\b|\b(?:people|children|men|women|mice|fish)\b"
)
_CLAUSE = re.compile(
    r"[,.;:!?–—]|\b(?:and|but|or|if|when|while|because|since|so|that|which|who|whom|whose|what|how"
    r"|why|where|whether|until|till|before|after|than|as|though|although|says?|said|thinks?"
    r"|hopes?|knows?)\b",
    re.IGNORECASE,
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
            text = text[: cut.start() + (cut.group()[0] in "?.")]
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
        return len(self.text) - len(self.head) >= _MATERIAL_CHARS

    def bound(self, position: int, *, plural: bool = False, clause_mate: bool = False) -> bool:
        """Whether a noun phrase before ``position`` may be what a pronoun there stands for.

        A cheap test: a determiner with a noun, a name, a quotation. A personal pronoun is free in
        its own clause (Chomsky 1981, principle B), so a clause must end in between.

        Args:
            position: where the pronoun is, in the query.
            plural: whether a bare plural (*cats*) can be meant too.
            clause_mate: whether the noun may stand in the same clause, as for a possessive.
        """
        before = self.head[self.start : position]
        for pattern in (_ANTECEDENT, _PLURAL) if plural else (_ANTECEDENT,):
            found = pattern.search(before)
            if found and (clause_mate or _CLAUSE.search(before, found.end())):
                return True
        return False


def singular(word: str) -> str:
    """The word without a plural's *s*; good enough to look up what was mentioned."""
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
