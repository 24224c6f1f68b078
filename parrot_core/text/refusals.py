"""Tells an answer that refuses from one that answers, in English and Chinese."""

import re
import unicodedata

_REFUSAL = re.compile(
    r"^\W*(?:(?:(?:i'?m|i am|we'?re) (?:very |so |really )?sorry|sorry|(?:i |my )?apologi[sz]e\w*"
    r"|unfortunately|as an? (?:ai|artificial|large|language))\b.{0,160}?)?"
    r"\b(?:i|we) ?(?:can(?:no|')t|can not|am unable to|'m unable to|am not able to|'m not able to"
    r"|won't|will not|don't have the (?:ability|capability)|do not have the (?:ability|capability)"
    r"|don't have (?:access|the capacity))(?: \w+){0,3}? (?:to|assist|help(?! but)|provide|answer"
    r"|fulfil|fulfill|comply|generate|create|discuss|engage|access|process|support|complete"
    r"|continue|write|share|offer)\b",
    re.IGNORECASE | re.DOTALL,
)
_REFUSAL_ZH = re.compile(
    r"^\W*(?:(?:很|非常|十分)?抱歉|对不起|對不起|作为(?:一个|一名)?(?:AI|人工智能|语言模型)).{0,40}"
    r"(?:无法|無法|不能|不可以|没有能力)",
    re.DOTALL,
)


def refuses(answer: str) -> bool:
    """Whether an answer begins by refusing, with or without an apology."""
    text = unicodedata.normalize("NFKC", answer).replace("’", "'").strip()
    return bool(_REFUSAL.match(text) or _REFUSAL_ZH.match(text))
