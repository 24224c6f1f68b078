"""Openings of long Chinese queries that point back before they paste: 根据你之前给我的文件，…"""

import re

from parrot_core.context.query import Query

_OPENING_CHARS = 30
_TOLD = re.compile(
    r"你(?:[刚剛]才?|之前|上面|一开始|一開始)(?:给|給|说|說|写|寫|列|生成|提供|回答|提到)"
    r"|(?:上述|[刚剛]才的?|[^，。\d]上面的)(?!是)"
)
_SAME_ASKED = re.compile(
    r"\W*(?:(?:了解|好的?|明白|嗯|那么?|那麼?)[，,。 ]*)*"
    r"(?:[这這那下]?[一个個]?[个個句段篇首张張题題条條種种]|[这這])呢[？?]?\s*\n"
)


def find_told(query: Query) -> tuple[int, int] | None:
    """Return the span where a query of any length opens with what was told before."""
    found = _TOLD.search(query.head[:_OPENING_CHARS])
    return found.span() if found else None


def find_same_asked(query: Query) -> tuple[int, int] | None:
    """Return the span of *这一句呢？* over pasted text: the same is asked of another thing."""
    found = _SAME_ASKED.match(query.text)
    return found.span() if found else None
