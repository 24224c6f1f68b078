"""Returns in Chinese: 说回乙管, 回到第二天, 你一开始说的, 第一版."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule

_LONGEST_CHARS = 80
_LEAD = (
    r"^\W*(?:(?:好的?|那|嗯|现在|現在|我们|我們|咱们|咱們|咱|还是|還是|再|先|让我们|讓我們)"
    r"[，, ]?)*"
)
_BACK = re.compile(
    rf"{_LEAD}(?:(?:说|讲|聊|谈|講|說|談)回(?!来|來)|回过头|回過頭|回头(?:说|看)|回頭(?:說|看)"
    r"|话说回来|話說回來)"
)
_BACK_TO = re.compile(
    rf"{_LEAD}(?:回到|返回到?)(?P<what>[^，。？?！!,、]{{1,16}})",
)
_NAMED_EARLIER = re.compile(
    r"第[一二两兩三四五六七八九十\d]|最[开開初早先]|一开始|一開始|[刚剛]|[你我原那]|之前|前面"
    r"|开头|開頭"
)
_ORIGIN = re.compile(
    r"(?:最(?:开始|開始|初|早|先)|一开始|一開始|起初|开头|開頭|原先|当初|當初)"
    r"(?:[说說问問给給提列出写寫讲講答分选選那]|的(?:那|问题|問題|版本|答案|[两兩三四几幾]))"
    r"|[你我](?:还|還)?(?:惦记|惦記|最早|最初|最先|一开始|一開始|开头|開頭)"
    r"|第一版|初版|原版"
    r"|(?:跟|和|与|與|比|同)(?:之前|原来|原來|先前|刚开始|剛開始|一开始|一開始|最初|第一[个個版次])"
    r"|比[^，。？]{1,6}前(?:多|少|长|長|短|高|低|快|慢|大|小|好|差)"
)


def _find(query: Query) -> tuple[int, int] | None:
    if len(query.text) > _LONGEST_CHARS:
        return None
    back = _BACK.search(query.head)
    if back:
        return back.span()
    to = _BACK_TO.search(query.head)
    if to and (_NAMED_EARLIER.search(to["what"]) or _said(to["what"], query.history)):
        return to.span()
    origin = _ORIGIN.search(query.head)
    return origin.span() if origin else None


def _said(what: str, history: tuple[str, ...]) -> bool:
    """Whether two characters that follow each other are in the history."""
    pairs = {what[place : place + 2] for place in range(len(what) - 1)}
    return any(pair in text for text in history for pair in pairs)


RETURN = ContextRule("return", _find)
