"""Chinese requests without an object: 详细说说, 能再解释一下吗, 重新来一个.

What is left out is a zero pronoun (Huang 1984), which the conversation before it fills.
"""

import re

from parrot_core.context.query import Query

_LONGEST_CHARS = 60
_ASK = (
    r"(?:(?:请|請|你|您|那么|那麼|那|就|再|麻烦|麻煩|帮我|幫我|帮忙|给我|給我|可不可以|能不能"
    r"|能否|可否|是否|可以|能|要|需要|只|先"
    r"|我想|我希望|希望|现在|現在|应该|應該|尝试|嘗試|试着|試著|据此|自己)[，, ]*)*"
)
_HOW = (
    r"(?:(?:详细|詳細|具体|具體|仔细|仔細|简单|簡單|简短|簡短|简要|簡要|深入|稍微|重点|重點"
    r"|[择擇]重点|分点|分點"
    r"|逐[条條步]|全面|通俗|换个角度|換個角度|给我|給我|为我|地|的|再)[，, ]*)*"
)
_VERB = (
    r"(?:解释|解釋|说明|說明|说|說|讲|講|描述|介绍|介紹|总结|總結|概括|归纳|歸納|展开|展開|扩展"
    r"|擴展|扩充|擴充|补充|補充"
    r"|修饰|修飾|润色|潤色|修改|改进|改進|改|调整|調整|优化|優化|完善|精简|精簡|简化|簡化|翻译"
    r"|翻譯|精炼|精煉|分析|复述|複述"
    r"|重述|重写|重寫|改写|改寫|检查|檢查|验证|驗證|演示|示范|示範|对比|對比|比较|比較|试|試|猜"
    r"|缩短|縮短)"
)
_SPENT = (
    r"(?:一下|一遍|一次|一些|一点|一點|点|些|下|下去|說說|说说|讲讲|講講|看看|看|清楚|明白"
    r"|详细点|具体点)"
)
_SORT = (
    r"(?:具体|具體|实际|實際|简单|簡單|其他|其它|相关|相關)?的?(?:例子|实例|實例|示例|案例|参考"
    r"|參考|资料|資料|文献|文獻|模板|范例|範例"
    r"|大纲|大綱|提纲|提綱|标题|標題|总结|總結|摘要|细节|細節|理由|原因|步骤|步驟|代码|代碼|名字"
    r"|选项|選項|依据|依據|出处|出處)"
)
_END = (
    r"(?:就(?:行|好|可以)了?|即可|好[吗嗎]|可以[吗嗎]|行[吗嗎]"
    r"|[吗嗎吧么麼呢啊])*\s*(?:[，,。.！!？?；;\n]|\Z)"
)
_NO_OBJECT = re.compile(
    rf"{_ASK}{_HOW}(?:{_VERB}{_SPENT}|{_VERB}(?:得|的)?(?:更|再)?{_HOW}{_SPENT}"
    rf"|(?:说说|說說|讲讲|講講|展开讲讲|详述|詳述))+{_END}"
)
_AGAIN = re.compile(
    r"重新(?:写|寫|接|做|来|來|生成|回答|翻译|翻譯|改|编写|編寫|算|计算|計算|说|說|描述|表述"
    r"|组织|整理)"
    r"(?:一(?:[个個遍次下首篇段份句]))?[吧吗嗎]?\s*(?:[，,。.！!？?]|\Z)"
    r"|(?:请|請|再)(?:重写|重寫|重做|重来|重來|[来來]一[个個首段次篇遍条條])"
    r"|再(?:说|說|讲|講|写|寫|复述|複述|解释|解釋|回答|做|试|試)一[遍次]"
    r"|[继繼][续續](?:写|寫|扩充|擴充|说|說|讲|講)?(?:下去)?\s*(?:[，,。.！!？?]|\Z)"
)
_SOME = re.compile(
    rf"{_ASK}(?:给|給|举|舉|提供|列|拟|擬|写|寫|做|来|來|推荐|推薦|说|說)(?:我|出|些|一些"
    rf"|几[个個条條]|幾[個條]|[一两兩三][个個份些段句条條]){{0,2}}"
    rf"{_SORT}(?:(?:或者?|和|、|以及){_SORT})?{_END}"
)
_CLAUSE_START = re.compile(r"(?:^|[，,。.！!？?；;：:\n])\s*")
_BY_MEANS = re.compile(
    r"(?:^|[，,。])[请請能否可以不你再]*(?:使用|用|按照?|根据|根據|以)[^，,。]*(?=[，,。]|\Z)"
)
_BOUND_CHARS = 8
_HAN_OR_LATIN = re.compile(r"[\u3400-\u9fff]|[A-Za-z]{2,}")


def find_objectless(query: Query) -> tuple[int, int] | None:
    """Return the span of a clause that asks to do something and leaves out to what.

    An earlier clause of some length may name it (*这句话不通顺，请修改一下*).
    """
    if len(query.text) > _LONGEST_CHARS or query.brings_material:
        return None
    again = _AGAIN.search(query.head)
    if again:
        return again.span()
    for clause in _CLAUSE_START.finditer(query.head):
        found = _NO_OBJECT.match(query.head, clause.end()) or _SOME.match(query.head, clause.end())
        before = _BY_MEANS.sub("", query.head[: clause.start()])
        if found and len(_HAN_OR_LATIN.findall(before)) < _BOUND_CHARS:
            return found.span()
    return None
