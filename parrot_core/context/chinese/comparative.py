"""Chinese comparisons whose standard was said before: 再短一点, 还有别的吗, 哪个更便宜."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule, first_match

_LONGEST_CHARS = 60
_LIKENESS = (
    r"(?:短|长|長|简单|簡單|详细|詳細|正式|口语|口語|可爱|可愛|具体|具體|多|少|幽默|简洁|簡潔|通俗"
    r"|委婉|专业|專業|快|慢|便宜)"
)
_COMPARED = re.compile(
    r"同[样樣]的?(?:方法|方式|格式|风格|風格|要求|步骤|步驟|问题|問題)"
    r"|^\W*(?:请|請)?(?:再(?!见|見|别康|別康|会|會)|更|另外|别的|別的|其他|其它"
    r"|换一?[个個种種首]|換一?[個種首]|类似|類似|同样|同樣)"
    r"|(?:还有|還有|有没有)(?:别|別|更|其[他它]|吗|嗎)"
    r"|(?:给|給|告诉|告訴|提供|列|举|舉|说|說|讲|講|介绍|介紹|有|要|写|寫|加|看)(?:我|出|到|一些"
    r"|些)?更多(?!的?(?:时间|人))"
    r"|除(?:此|[这這]|了[这這]|上述).{0,3}[之以]?外|[请請](?:您|你)?再(?!见|見)"
    r"|(?:^|[。！!？?])\W*(?:[和跟与與同])[^，。？?]{1,15}(?:比起来|比起來|相比"
    r"|比)[，,]?[哪谁誰有怎如会會]|另外的|^\W*同[时時][期代]"
    r"|也(?:分析|翻译|翻譯|写|寫|解释|解釋|介绍|介紹|列|做|加|来|來|给|給)"
)
_FURTHER = re.compile(
    r"[还還](?:有|会|會|能|可以|知道|需要|要)(?:做|提供|推荐|推薦)?(?:些|一些)?(?:什[么麼]|哪些"
    r"|哪[个個]|别的|別的|其[他它]|没有|沒有)"
)
_DEGREE = re.compile(
    r"更[\u3400-\u9fff]{1,4}(?:一点|一點|一些|点|些)"
    rf"|{_LIKENESS}(?:一点|一點|一些|点儿?|點|些)(?:的|吧|吗|嗎)?\W*$"
    r"|(?:稍微?|稍稍|略微|略)[\u3400-\u9fff]{1,4}(?:一点|一點|一些|点|點|些)"
)
_CHOICE = re.compile(
    r"哪一?[个個款种種本部家条條位首](?:更|比较|比較|最)"
    r"|更(?:倾向于?|傾向於?|喜欢|喜歡|推荐|推薦|建议|建議)(?:哪|什|做|用)"
)
_EXCEPT = re.compile(r"除了?(?![此这這那上])")
_HOW_TO = re.compile(r"如何|怎[么样麼樣]")
_CHOICES_NAMED = re.compile(r"还是|還是|[和与與跟、比]|之[中间間]|中")

_GUARDED = ((_FURTHER, _EXCEPT), (_DEGREE, _HOW_TO), (_CHOICE, _CHOICES_NAMED))
"""A sign, and what before it tells the standard: 除了北京还有哪些, 怎么快一点, 茶和咖啡哪个更好."""


def _find(query: Query) -> tuple[int, int] | None:
    if len(query.text) > _LONGEST_CHARS:
        return None
    for sign, standard in _GUARDED:
        found = sign.search(query.head, query.start)
        if found and not standard.search(query.head[: found.start()]):
            return found.span()
    return first_match(_COMPARED, query)


COMPARATIVE = ContextRule("comparative", _find)
