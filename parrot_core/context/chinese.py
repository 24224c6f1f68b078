"""Chinese cues, simplified and traditional: pronouns, demonstratives, ellipsis, continuation."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import Kind, Rule, first_match

_SHORT_CHARS = 60
"""Longer Chinese queries mostly bring the thing that they point at."""

_PRONOUN = re.compile(r"[它牠]|(?<!其)(?:他|她)|其(?=[中的他])")
_DEMONSTRATIVE = re.compile(
    r"[这這](?!里是|裡是)|那[个個些样樣种種段篇里裡点點句么麼你]|此(?!外)|两者|兩者|哪一?[个個]"
)
_DISCOURSE = re.compile(
    r"上面|上述|以上|前面|[刚剛]才|之前|上一[个個条條段次句]|你[刚剛]?(?:说|說|提到|给|給|写|寫|列)"
    r"|我(?:的意思|是说|是說|说的|說的)|第[一二三四五六七八九十\d]+[个個点點条條段句种種项項步]"
)
_CONTINUATION = re.compile(
    r"^\s*(?:请|請)?(?:继续|繼續|接着|接著|再|还有|還有|更多|展开|展開|详细|詳細|举例|舉例|改[成为為用]"
    r"|换|換|重新|重写|重寫|修改|加上|去掉|删除|刪除|补充|補充|尝试|嘗試)"
    r"|^\s*(?:是的|不是|不对|不對|没错|沒錯|对|對)(?=[，,。！!]|$)"
)
_ELLIPSIS = re.compile(
    r"^\s*(?:然后|然後|那|所以|但是|可是|而且|用(?:中文|英文|英语|英語))|呢\s*[？?]?\s*$"
    r"|^\s*(?:为什么|為什麼)\s*[？?]?\s*$"
)


def _rule(kind: Kind, pattern: re.Pattern[str]) -> Rule:
    def find(query: Query) -> tuple[int, int] | None:
        return None if len(query.text) > _SHORT_CHARS else first_match(pattern, query)

    return Rule(kind, find)


CHINESE: tuple[Rule, ...] = (
    _rule("continuation", _CONTINUATION),
    _rule("pronoun", _PRONOUN),
    _rule("demonstrative", _DEMONSTRATIVE),
    _rule("discourse", _DISCOURSE),
    _rule("ellipsis", _ELLIPSIS),
)
