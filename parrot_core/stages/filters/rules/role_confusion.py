"""A query whose writer takes itself for the assistant: *As an AI …*, *How can I help you?*"""

import re

from parrot_core.recipe import Filter
from parrot_core.stages.filters.rule import FilterRule, Turn

_ASSISTANT = (
    r"(?:an? )?(?:ai|a\.i\.|artificial intelligence|(?:large )?language model|virtual assistant"
    r"|digital assistant|chat ?bot|chatgpt|ai assistant|ai language model|helpful assistant)"
)
_SPEAKS = re.compile(
    rf"\bas {_ASSISTANT}\b[^.?!\n]{{0,30}}, i\b"
    rf"|(?:\A|(?<=[.!?\n]))\W*(?:hi|hello|hey)?\W*i(?:'m| am) {_ASSISTANT}\b(?! (?:user|engineer"
    r"|researcher|developer|student|enthusiast|expert|artist|company|startup)s?\b)"
    r"|\bi(?:'m| am) your (?:\w+,? (?:\w+ )?)?(?:assistant|ai|chat ?bot)\b"
    r"|\A\W*(?:hi|hello|hey|welcome|thank you|thanks|sure|yes|ok)?[\w\s,!.]{0,40}?"
    r"\b(?:how|what) (?:can|may) i (?:help|assist|do for) you\b"
    r"|\A\W*i(?:'m| am) here to (?:help|assist)\b"
    r"|\A\W*(?:i(?:'d| would) be|i(?:'m| am)) (?:happy|glad|delighted) to (?:help|assist)\b"
    r"|\bmy knowledge cut-?off\b|\bi was (?:trained|created|developed) by (?:openai|google|meta)\b",
    re.IGNORECASE,
)
_SPEAKS_ZH = re.compile(
    r"作为(?:一个|一名|一款)?(?:AI|人工智能|语言模型|聊天机器人)[^。！？\n]{0,12}，\s*我"
    r"|(?:\A|[。！!\n])\s*(?:你好[，,！!]?|您好[，,！!]?)?\s*我是(?:一个|一名|一款)?"
    r"(?:AI|人工智能|语言模型|聊天机器人|智能助手|ChatGPT)(?!.{0,6}(?:用户|工程师|爱好者|专业|研究))"
    r"|\A\W*(?:你好|您好)?[，,！!\s]*(?:请问)?(?:有什么|我能)(?:我)?(?:可以|能|为)?.{0,4}帮(?:您|你|到您|到你|助您)",
    re.IGNORECASE,
)
_MENTION = re.compile(
    r"[\"“'‘「『`]\W*\Z|\b(?:say|says|saying|phrases?|words?|write|mention|include|pretend)\W+\Z"
    r"|[说說]\W*\Z",
    re.IGNORECASE,
)
_READ_CHARS = 400


def check(turn: Turn, settings: Filter) -> str | None:
    """Refuses queries in which the asker speaks as the assistant."""
    text = turn.query[:_READ_CHARS].replace("’", "'")
    for pattern in (_SPEAKS, _SPEAKS_ZH):
        found = pattern.search(text)
        if found and not _MENTION.search(text[: found.start()]):
            return f"speaks as the assistant: {' '.join(found[0].split())[-60:]!r}"
    return None


RULE = FilterRule("a query in which the asker speaks as the assistant", check)
