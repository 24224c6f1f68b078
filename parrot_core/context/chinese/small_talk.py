"""Small talk in Chinese: a short message that repeats nothing of what was said leans on it.

Chinese leaves out what the talk is about (就很爽, 想吃吗). No word shows it; what does is that
nothing of the last messages is named again.
"""

import re
from itertools import pairwise

from parrot_core.context.query import Query

_LONGEST_BEFORE = 40
"""Characters of the two messages before: longer ones are a request and an answer."""

_LOOKED_UP_MESSAGES = 4
_LONGEST_STATEMENT, _LONGEST_QUESTION, _SHORT = 20, 12, 8
_WITHOUT_CONTENT = frozenset(
    "的了吗呢吧啊呀么嘛哦嗯哈我你他她它们这那是有没不要会能可以就都也还再又很太什怎哪谁多少几个"
)
_QUESTION_WORD = re.compile(r"什么|怎|谁|哪|多少|几|吗|为何|如何|啥|多[长久大高远]")
_REQUEST = re.compile(r"写|请|帮|把|翻译|推荐|解释|介绍|列|给我|谢|再见|你好|晚安|早上|计算|用")
_WHOLE_QUESTION = re.compile(r"[A-Za-z]{2,}|是什么|怎么[学做写用办]|如何|为什么|由来|区别|首都")
_PARTICLE_AT_END = re.compile(r"[吗嘛吧呀啊呢]$")


def repeats_what_was_said(query: Query) -> bool:
    """Whether two characters that follow each other in the query, both of content, were said."""
    said = " ".join(query.history[-_LOOKED_UP_MESSAGES:])
    text = query.text
    return any(
        first + second in said
        for first, second in pairwise(text)
        if first not in _WITHOUT_CONTENT and second not in _WITHOUT_CONTENT
    )


def find_small_talk(query: Query) -> tuple[int, int] | None:
    """The span of a short message between short ones, if it asks for nothing that is whole."""
    text = query.text
    before = query.history[-2:]
    if not before or max(map(len, before)) > _LONGEST_BEFORE or _REQUEST.search(text):
        return None
    short = len(text) <= _SHORT and not _WHOLE_QUESTION.search(text)
    states = len(text) <= _LONGEST_STATEMENT and not _QUESTION_WORD.search(text)
    asks = len(text) <= _LONGEST_QUESTION and _PARTICLE_AT_END.search(text) is not None
    return (0, len(text)) if text.strip() and (short or states or asks) else None
