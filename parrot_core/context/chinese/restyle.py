"""Chinese requests that say how to answer and not what: 用英文回答, 请用中文再说一遍, 做成表格."""

import re

from parrot_core.context.query import Query

_LONGEST_CHARS = 40
_ASK = (
    r"(?:(?:请|請|你|您|那|就|再|都|全部|直接|麻烦|麻煩|帮我|幫我|给我|給我|可不可以|可唔可以"
    r"|能不能|能否"
    r"|可否|是否|可以|能|希望|我要|我想|我希望|现在|現在|改|换|換|重新|更改)[，, ]*)*"
)
_FORM = (
    r"(?:[中英日法德俄韩韓汉漢粤粵国國白][文语語话話]|普通话|普通話|广东话|廣東話|西班牙[语語文]"
    r"|文言文|白话文|白話文|[简簡繁][体體](?:中文|字)?|(?i:english|chinese|japanese|markdown"
    r"|json|latex"
    r"|html|csv|#?zh-hant|#?zh-hans)|表格|列表|要点|要點"
    r"|[^，。？?！!：:\n]{0,10}(?:语言|語言|方式|语气|語氣|口吻|口气|口氣|形式|格式|风格|風格"
    r"|角度|的话|的話))"
)
_TELL = (
    r"(?:(?:来|來|再|重新|给我|給我|向我)*(?:回答|回复|回復|回覆|答复|答覆|作答|说明|說明|说|說"
    r"|讲解|講解|讲|講"
    r"|解释|解釋|描述|复述|複述|重述|重复|重複|重写|重寫|表达|表達|叙述|敘述|写|寫|翻译|翻譯"
    r"|输出|輸出|呈现|呈現"
    r"|展示|表示|列出|总结|總結|概括|整理|告诉我|告訴我)"
    r"(?:一遍|一次|一下|出来|出來|给我|給我|我|它|他)*)?"
)
_ENOUGH = (
    r"(?:我)?(?:就(?:可以|好|行)了?|即可|便可|好[吗嗎]|可以[吗嗎]|行[吗嗎]|吧|[吗嗎]|谢谢|謝謝"
    r"|[\s，,。.！!？?])*"
)
_RESTYLE = re.compile(
    rf"{_ASK}(?:用|以|使用|按|换成|換成|改成|改用|转成|轉成|翻译成|翻譯成|做成){{1,2}}(?:更|比较"
    rf"|比較)?{_FORM}"
    rf"{_TELL}{_ENOUGH}\Z"
)


def find_restyle(query: Query) -> tuple[int, int] | None:
    """Return the span of a request that names a language or a form for what was said, if all it is.

    Its object is the answer before it, in Chinese left out as a matter of course (a zero pronoun).
    """
    if len(query.text) > _LONGEST_CHARS:
        return None
    text = query.head.rstrip()
    found = _RESTYLE.match(text, query.start)
    return found.span() if found and found.end() > found.start() else None
