"""A query that answers instead of asking: *Sure, here is …*, *I hope this helps!*"""

import re

from parrot_core.recipe import Filter
from parrot_core.stages.filters.rule import FilterRule, Turn

_OPENS = re.compile(
    r"\A\W*(?:(?:sure|certainly|of course|absolutely|definitely|no problem)(?: thing)?[!,.]+\s+)"
    r"(?:here(?:'s| is| are)|i(?:'d| would|'ll| will| can) (?:be happy|be glad|help|do my best|try)"
    r"|let me (?:help|explain|provide)|below (?:is|are)|as an ai)\b"
    r"|\A\W*(?:certainly|absolutely)!"
    r"|\A\W*here(?:'s| is| are) (?:some|a few|a list of|a possible|a revised|a sample|several"
    r"|an updated|the revised|the updated|the corrected) [\w' -]{3,60}[:.]"
    r"|\A\W*(?:i apologi[sz]e for (?:the|any)|i'?m sorry,? (?:but|for (?:the|any) (?:confusion"
    r"|inconvenience)))"
    r"|\A\W*(?:i'?m glad (?:you|to hear|that)|you'?re welcome|(?:that'?s|what) an? (?:great"
    r"|excellent) "
    r"question)\b",
    re.IGNORECASE,
)
_CLOSES = re.compile(
    r"(?:(?:\A|(?<=[.!?\n]))\s*(?:please )?(?:let me know if (?:you|there)"
    r"|feel free to (?:ask|reach|contact))[^.!?]{0,80}"
    r"|(?:i )?hope (?:this|that) (?:helps|answers your question|information is helpful)"
    r"[^.!?]{0,30}|is there anything else (?:i can|you(?:'d| would) like)[^.!?]{0,60})[.!?\s]*\Z",
    re.IGNORECASE,
)
_OPENS_ZH = re.compile(
    r"\A\W*(?:当然|當然|好的|没问题|沒問題)[^，,！!。\n]{0,4}[，,！!。]\s*(?:以下是|这是|這是|下面是|我(?:很乐意|很樂意|可以为|来为))"
    r"|\A\W*(?:很?抱歉[，,]\s*(?:我无法|作为|我不能)|感谢您的(?:提问|咨询|反馈))"
)
_CLOSES_ZH = re.compile(
    r"(?:希望(?:这|以上|对|這|對).{0,12}(?:帮助|有用|幫助)"
    r"|如果(?:您|你)?还?有(?:任何|其他|什么).{0,10}(?:问题|疑问|需要).{0,16}|请随时.{0,12})[。！!\s]*\Z"
)


def check(turn: Turn, settings: Filter) -> str | None:
    """Refuses queries that open or close as only an assistant's answer does."""
    text = turn.query.replace("’", "'")
    for pattern in (_OPENS, _OPENS_ZH):
        if found := pattern.search(text[:300]):
            return f"opens like an answer: {' '.join(found[0].split())[:60]!r}"
    for pattern in (_CLOSES, _CLOSES_ZH):
        if found := pattern.search(text[-300:]):
            return f"closes like an answer: {' '.join(found[0].split())[:60]!r}"
    return None


RULE = FilterRule("a query that answers instead of asking", check)
