"""A query on a topic that no training dialogue should be about: a few patterns of our own.

They look for intent, not for words: history, news, medicine and fiction mostly pass. English and
Chinese.
"""

import re
from collections.abc import Mapping

from parrot_core.recipe import Filter
from parrot_core.stages.filters.rule import FilterRule, Turn

_NEAR = r"[^.?!\n]{0,40}?"
_MINOR = r"\b(?:child(?:ren)?|kids?|minors?|under-?age\w*|school ?girls?|school ?boys?|toddlers?)\b"
_SEXUAL = r"\b(?:sex(?:ual(?:ly|ized)?|y)?|erotic\w*|nudes?|naked|porn\w*|nsfw)\b"
_BUILD = (
    r"\b(?:mak(?:e|ing)|build(?:ing)?|assembl\w+|synthesi[sz]\w+|construct(?:ing)?|cook(?:ing)?)\b"
)
_WEAPON = (
    r"\b(?:(?:pipe|nail|car|dirty|petrol|fertilizer) bombs?|a bomb|napalm|"
    r"explosives|explosive (?:device|charge)s?|molotov\w*|nerve (?:agent|gas)|sarin|ricin|"
    r"ghost guns?|silencers?|bioweapons?|"
    r"chemical weapons?|methamphetamine|crystal meth)\b"
)
_NEAR_ZH = r"[^。？！\n]{0,12}?"
_MINOR_ZH = r"(?:未成年|小学生|儿童|幼女|幼童|男童|女童|小女孩|小男孩)"
_SEXUAL_ZH = r"(?:性爱|性行为|色情|裸照|裸体|情色|性感)"
_DRUG = r"(?:cocaine|heroin|meth|fentanyl|mdma|ecstasy pills|lsd)"
_HOW = r"(?:how (?:do|can|could|would|to)|teach me (?:how )?to|(?:best|easiest) way to|help me)"

TOPICS: Mapping[str, re.Pattern[str]] = {
    topic: re.compile(pattern, re.IGNORECASE)
    for topic, pattern in {
        "self-harm": r"\b(?:kill(?:ing)?|hurt(?:ing)?|harm(?:ing)?|cut(?:ting)?) myself\b"
        r"|\b(?:i am|i'm|i feel|feeling) suicidal\b|\bend(?:ing)? my (?:own )?life\b"
        r"|\b(?:how to|ways? to|want to|methods? (?:to|of)) (?:commit(?:ting)? )?suicide\b"
        r"|\bhow (?:can|do|should) i commit suicide\b|\bpainless(?:ly)? (?:way|method)s? to die\b"
        r"|(?:我想|想要|如何|怎么|怎样)(?:去)?(?:自杀|自残|结束(?:自己的)?生命)|我不想活",
        "sexual content with minors": f"{_SEXUAL}{_NEAR}{_MINOR}|{_MINOR}{_NEAR}{_SEXUAL}"
        f"|{_SEXUAL_ZH}{_NEAR_ZH}{_MINOR_ZH}|{_MINOR_ZH}{_NEAR_ZH}{_SEXUAL_ZH}",
        "explicit sexual content": r"\b(?:hardcore porn|porn(?:o|ographic) (?:story|scene|video)s?"
        r"|erotica|explicit sex(?:ual)? (?:scene|story|act)s?|blow ?jobs?|sext(?:ing)?)\b"
        r"|(?:色情|情色|黄色)(?:小说|故事|文章|视频)|写.{0,6}性爱(?:场景|故事|小说)",
        "weapons and explosives": f"{_BUILD}{_NEAR}{_WEAPON}"
        r"|(?:制作|制造|自制|合成|做)(?:一个|一枚|一颗)?(?:土制|简易)?(?:炸弹|炸药|燃烧瓶|毒气|枪支|雷管)",
        "drugs": rf"\b(?:cook|synthesi[sz]e|make|produce|smuggle|buy|sell|order)"
        rf"(?:ing)? (?:some |crystal )?{_DRUG}\b"
        r"|(?:制作|制造|合成|购买|贩卖)(?:冰毒|海洛因|毒品|摇头丸)",
        "crime": rf"\b{_HOW} (?:[a-z]+ ){{0,3}}?"
        r"(?:hack (?:into )?(?:my|his|her|someone|some|a|an|the)"
        r" \w+(?:'s)? (?:account|phone|email|facebook|instagram|wifi)|steal (?:a|someone|credit"
        r"|his|her)"
        r"|forge (?:a|an|documents)|launder money|get away with murder|kidnap|poison (?:a person"
        r"|someone|my|him|her)"
        r"|stalk (?:my|her|him|someone)|murder (?:my|someone|her|him))"
        r"|(?:如何|怎么|怎样)(?:盗取|盗用|入侵|黑进|洗钱|伪造(?:证件|身份证|签名)|绑架|毒死|杀死?(?:他|她|我的|一个人|老板))",
        "hate": r"\bn[i1]gg(?:er|a)s?\b|\bf[a4]gg[o0]ts?\b|\bk[i1]kes?\b"
        r"|\b(?:kill|exterminate|gas|deport) all (?:the )?"
        r"(?:jews|muslims|christians|blacks|whites|gays|immigrants)\b"
        r"|(?:杀光|灭绝|消灭)(?:所有)?(?:犹太人|穆斯林|黑人|白人|日本人|同性恋)",
    }.items()
}


def check(turn: Turn, settings: Filter) -> str | None:
    """Refuses queries that ask for harm."""
    return next((topic for topic, pattern in TOPICS.items() if pattern.search(turn.query)), None)


RULE = FilterRule("a query on a sensitive topic", check)
