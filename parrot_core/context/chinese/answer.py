"""Answers in Chinese to what the assistant asked for: 我住在香港, after 请告诉我你在哪里."""

import re

from parrot_core.context.query import Query

_LONGEST_CHARS = 60
_SENTENCE = re.compile(r"[^。！!？?\n]+[。！!？?]*")
_ASKS = re.compile(
    r"[？?][^？?。.！!]{0,6}\Z"
    r"|(?:请|請|麻烦|麻煩)[您你先再尽儘量直接能准準确確地]*(?:告诉|告訴|提供|说明|說明|写下|寫下"
    r"|输入|輸入|定义|定義|描述|给出|給出|给我|給我"
    r"|指定|补充|補充|告知)"
)
_OFFERS = re.compile(
    r"(?:想|需要|希望)(?:知道|了解)|需要更多|(?:是否|要不要)(?:需要|我)|"
    r"(?:帮助|幫助|帮到|幫到|帮忙|幫忙|帮你|帮您|幫你|幫您|协助|協助|为你|为您|為你|為您|服务"
    r"|服務)[^？?。]{0,12}[？?]?"
    r"|(?:还|還|其他|其它|任何)[^。？?]{0,8}(?:问题|問題|疑问|疑問|需要)"
)
_REQUEST = re.compile(
    r"[？?吗嗎呢么麼谁誰哪几幾谢謝]|什[么麼]|怎|如何|为何|為何|是否|多少|能不能|可不可以"
    r"|[请請帮幫]|介绍|介紹|(?:^|[，,。\s])(?:写|寫|给我|給我|告诉我|告訴我|推荐|推薦|列|解释"
    r"|解釋|翻译|翻譯"
    r"|生成|设计|設計|用|把|将|將|创建|分析|总结|總結|你)"
)


def find_answer(query: Query) -> tuple[int, int] | None:
    """Return the span of a query that answers the question or request which ends the last message.

    The two parts of such a pair are understood together (Schegloff and Sacks 1973). An offer of
    help (*还有什么可以帮您？*) asks nothing, and what asks in its turn is no answer.
    """
    text = query.text.strip()
    if not query.history or not 1 < len(text) <= _LONGEST_CHARS or _REQUEST.search(text):
        return None
    last = _last_sentence(query.history[-1])
    if not _ASKS.search(last) or _OFFERS.search(last):
        return None
    start = query.text.index(text)
    return start, start + len(text)


def _last_sentence(text: str) -> str:
    parts = [part for part in _SENTENCE.findall(text) if part.strip()]
    return parts[-1].strip() if parts else ""
