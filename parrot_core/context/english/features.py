"""What the English model reads in a query: its words, and which of them the history has named.

Function words stand for themselves; any other word is only ``w``, ``N`` (a name) or ``#`` (a
figure), with ``+`` if the history has it. So a few thousand labelled queries teach the model how
questions are built, not what they are about.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from parrot_core.context.query import Query, singular

LOOKED_UP_MESSAGES = 8
LOOKED_UP_CHARS = 3000
"""How much of the history is looked up: its last messages, and the beginning of each."""

_TOKEN = re.compile(r"[A-Za-z]+(?:['’][a-z]+)?|\d+(?:[.,:/]\d+)*|[^\sA-Za-z\d]")
_PERSONAL_WORDS = """
    it its it's they them their theirs they're he him his he's she her hers she's himself herself
    itself themselves"""
_POINTING_WORDS = "this that these those that's there here one ones such so"
_OTHER_FUNCTION_WORDS = """
    a an the and or but if then else so because as of at by for with about against between into
    through during before after above below to from up down in out on off over under again further
    once i me my mine we us our you your yours who whom whose which what when where why how am is
    are was were be been being have has had do does did doing can could will would shall should may
    might must not no nor don't didn't doesn't isn't aren't wasn't won't can't couldn't what's i'm
    i'd i'll i've you're let's let some any all both each few more most other others another only
    own same than too very just also still even ever instead besides anything something everything
    nothing anyone someone everyone two three first second third last next previous please thanks
    thank ok okay yes yeah nope well now sure great good hi hello sorry like get give got go going
    want need make made tell show say said know think mean use used write explain list find add
    change put take come help try happen happened continue keep work many much long often far big
    old new way thing things part kind type example examples people time times year years answer
    question questions story text code table version point points sentence paragraph article word
    words"""
_PERSONAL = frozenset(_PERSONAL_WORDS.split())
_POINTING = frozenset(_POINTING_WORDS.split())
_PLURALS = frozenset(("they", "them", "their", "theirs", "these", "those"))
_POSSESSIVES = frozenset(("its", "his", "her", "their"))
_FUNCTION_WORDS = frozenset(_OTHER_FUNCTION_WORDS.split()) | _PERSONAL | _POINTING
_SENTENCE_MARKS = ".?!"
_BOUNDS = ((4, ""), (7, "5-7"), (12, "8-12"), (20, "13-20"), (40, "21-40"))


@dataclass(slots=True)
class _Counts:
    """What is counted along a query."""

    content: int = 0
    known: int = 0
    names: int = 0
    known_names: int = 0
    pronouns: int = 0
    names_before: int = 0
    content_before: int = 0


def features(query: Query) -> set[str]:
    """Return the names of all features that a query has."""
    tokens = list(_TOKEN.finditer(query.head))
    texts = [token.group() for token in tokens]
    lower = [text.lower().replace("’", "'") for text in texts]
    counts = _Counts()
    found: list[str] = []
    shapes = ["^", *_shapes(query, tokens, texts, lower, counts, found), "$"]
    for size in (1, 2, 3, 4):
        found += (
            f"{size}:" + " ".join(shapes[at : at + size]) for at in range(len(shapes) - size + 1)
        )
    found += ("b:" + " ".join(lower[at : at + 2]) for at in range(len(lower) - 1))
    found += ("s:" + " ".join(shapes[1:3]), "s3:" + " ".join(shapes[1:4]))
    found.append("e:" + " ".join(shapes[-3:]))
    if len(shapes) <= 8:
        found.append("all:" + " ".join(shapes))
    found += _of_counts(counts, len(texts))
    found += _of_ends(query, len(texts))
    if query.brings_material:
        found += [f"M:{name}" for name in found if name[:2] in {"1:", "2:"}]
    return set(found)


def _shapes(
    query: Query,
    tokens: Sequence[re.Match[str]],
    texts: Sequence[str],
    lower: Sequence[str],
    counts: _Counts,
    found: list[str],
) -> Iterator[str]:
    """Yield each token as the model sees it; count, and note pronouns and words on the way."""
    said = _said(query.history)
    for at, (token, text, word) in enumerate(zip(tokens, texts, lower, strict=True)):
        if word in _FUNCTION_WORDS or not text[0].isalnum():
            if word in _PERSONAL or word in _POINTING:
                found += _of_pronoun(query, token.start(), word, counts)
            yield word
            continue
        known = singular(word) in said
        counts.content += 1
        counts.known += known
        found.append(f"u:{word}")
        mark = "+" if known else ""
        if text[0].isdigit():
            yield f"#{mark}"
        elif text[0].isupper() and at and texts[at - 1] not in _SENTENCE_MARKS:
            counts.names += 1
            counts.known_names += known
            yield f"N{mark}"
        else:
            yield f"w{mark}"


def _of_pronoun(query: Query, position: int, word: str, counts: _Counts) -> Iterator[str]:
    """Features of a pronoun: whether the query itself may say what it stands for."""
    if not counts.pronouns:
        counts.names_before, counts.content_before = counts.names, counts.content
    counts.pronouns += 1
    bound = query.bound(position, plural=word in _PLURALS, clause_mate=word in _POSSESSIVES)
    yield f"bound:{bound}"
    yield f"bound:{bound}:{word}"
    yield f"p:{word}:{min(counts.content, 4)}:{min(counts.names, 2)}"


def _of_counts(counts: _Counts, words: int) -> Iterator[str]:
    content, known, names = counts.content, counts.known, counts.names
    new, pronouns = content - known, counts.pronouns
    share = int(known / content * 4) if content else -1
    yield f"words:{_bucket(words)}"
    yield f"content:{_bucket(content)}"
    yield f"known:{_bucket(known)}"
    yield f"new:{_bucket(new)}"
    yield f"names:{min(names, 4)}"
    yield f"known names:{min(counts.known_names, 4)}"
    yield f"pronouns:{min(pronouns, 3)}"
    yield f"pronouns names:{min(pronouns, 2)}:{min(names, 3)}"
    yield f"pronouns content:{min(pronouns, 2)}:{_bucket(content)}"
    yield f"names content:{min(names, 3)}:{min(counts.known_names, 3)}:{_bucket(content)}"
    yield f"mix:{min(pronouns, 1)}:{min(names, 2)}:{min(known, 3)}:{min(new, 3)}"
    before = f"{min(counts.names_before, 2)}:{min(counts.content_before, 3)}"
    yield f"before:{pronouns > 0}:{before}"
    yield f"share:{share}"
    yield f"share content:{share}:{_bucket(content)}"


def _of_ends(query: Query, words: int) -> Iterator[str]:
    """How the query and the message before it end, and what the query brings."""
    end = "?" if query.head.rstrip().endswith("?") else "."
    yield f"material:{query.brings_material}"
    yield f"end:{end}:{query.brings_material}"
    if query.history:
        last = query.history[-1].rstrip()
        yield f"asked:{last.endswith(('?', '？'))}:{end}:{_bucket(words)}"
        yield f"turns:{min(len(query.history) // 2, 4)}"
        yield f"last:{_bucket(len(last) // 100)}"


def _said(history: Sequence[str]) -> frozenset[str]:
    recent = (_content_words(text[:LOOKED_UP_CHARS]) for text in history[-LOOKED_UP_MESSAGES:])
    return frozenset[str]().union(*recent)


@lru_cache(maxsize=512)
def _content_words(text: str) -> frozenset[str]:
    """Words of a message but function words; kept, since each later query looks them up again."""
    words = (token.lower() for token in _TOKEN.findall(text) if len(token) > 1)
    return frozenset(singular(word) for word in words if word not in _FUNCTION_WORDS)


def _bucket(number: int) -> str:
    for bound, name in _BOUNDS:
        if number <= bound:
            return name or str(number)
    return "41+"
