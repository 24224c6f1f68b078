"""Corrections in Chinese: 我记错了, 慢着, 漏看了一张, 不是周五，是周六."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule

_LONGEST_CHARS = 80
_SLIP = re.compile(
    r"(?:看|记|記|写|寫|说|說|打|搞|算|弄|摸|抄|数|數|读|讀|填|想|听|聽|量|报|報|输|輸|选|選|拿"
    r"|认|認|理解|答|译|譯|猜)"
    r"(?:错|錯|反|漏|混|岔)了|(?:看|记|記|写|寫|说|說|摸|抄|拿)(?:错|錯|反"
    r"|漏)(?=[\u3400-\u9fff])(?!误|誤|别字)"
    r"|漏(?:看|说|說|写|寫|算|掉|了)|忘了?(?:说|說|告诉|告訴|提|讲|講)|改(?:了)?主意"
    r"|(?:重复|重複|矛盾|跑题|跑題)了|前后(?:矛盾|不一)|根本就?(?:不|没|沒)"
    r"|(?:更正|勘误|勘誤)(?!一下|这|這|下面|以下)"
)
_HALT = re.compile(
    r"^\W*(?:(?:慢着|慢著|等等|等一下|且慢|糟糕|哎呀|啊不|算了|不对|不對)\s*[，,。！!:：]"
    r"|(?:抱歉|不好意思|对不起|對不起)\s*[，,](?!请|請|能|可以|我想问|我想問|问|問))"
)
_NOT_BUT = re.compile(
    r"不是(?P<old>[^，。？?！!,]{1,8})[，,]?(?:而)?是"
    r"|[是要][^，。？?！!,]{1,8}[，,]?不是(?P<other>[^，。？?！!,吗嗎]{1,8})"
)


def _find(query: Query) -> tuple[int, int] | None:
    if len(query.text) > _LONGEST_CHARS:
        return None
    for pattern in (_HALT, _SLIP):
        found = pattern.search(query.head)
        if found:
            return found.span()
    for found in _NOT_BUT.finditer(query.head):
        old = found["old"] or found["other"]
        if any(old in text for text in query.history):
            return found.span()
    return None


CORRECTION = ContextRule("correction", _find)
