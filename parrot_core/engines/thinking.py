"""Parts a model's thinking from its answer, where a server has left both in one text.

A block of thinking stands between tags of its own (``<think>``, ``[THINK]``, gpt-oss's channels).
Only a tag that opens the text or a line, outside fenced code, is taken for one: an answer may
write *about* such tags.
"""

import re

_NAMES = r"(?:\w{1,10}:)?(?:ant)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection)"
_TAG = re.compile(
    rf"""
      <(?P<close>/)?(?P<name>{_NAMES})(?:\s[^<>]{{0,80}})?>     # DeepSeek, Qwen, most
    | \[(?P<mistral_close>/)?THINK\]                            # Magistral
    | \u25c1(?P<kimi_close>/)?think\u25b7                       # Kimi
    | <\|(?:(?P<begin>begin|START)|end|END)_(?:of_thought|THINKING)\|>   # OpenThinker, Cohere
    | <unused(?:(?P<gemma>94)|95)>(?:thought\n)?                # MedGemma
    | (?P<fence>```)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CHANNEL = re.compile(
    r"(?:<\|start\|>assistant)?<\|channel\|>(?P<name>\w{1,20})[^<]{0,80}<\|message\|>"
)
_CHANNEL_END = re.compile(r"<\|(?:end|return|call)\|>\s*")
_BARE_CHANNELS = re.compile(r"analysis(?P<thought>.*?)assistantfinal(?P<answer>.*)", re.DOTALL)
_SOLUTION = re.compile(r"<\|(?:begin_of_solution|end_of_solution|(?:START|END)_RESPONSE)\|>")
_HINTS = ("<", "[", "\u25c1")


def split_thinking(text: str) -> tuple[str, str | None]:
    """The answer without its thinking, and the thinking; None where there is none.

    Thinking that opens the text and is never closed takes all of it: the answer is empty then. A
    closing tag alone ends thinking whose opening was part of the prompt.
    """
    if "assistantfinal" in text and (bare := _BARE_CHANNELS.match(text.lstrip())):
        return bare["answer"].strip(), bare["thought"].strip() or None
    if not any(hint in text for hint in _HINTS):
        return text, None
    if channels := list(_CHANNEL.finditer(text)):
        return _by_channel(text, channels)
    return _by_tag(text)


def _by_channel(text: str, channels: list[re.Match[str]]) -> tuple[str, str | None]:
    """What is on gpt-oss's final channel, and what is on all others."""
    answer = [text[: channels[0].start()]]
    thought: list[str] = []
    ends = [*(each.start() for each in channels[1:]), len(text)]
    for channel, end in zip(channels, ends, strict=True):
        said = _CHANNEL_END.sub("", text[channel.end() : end])
        (answer if channel["name"] == "final" else thought).append(said.strip())
    return _joined(answer) or "", _joined(thought)


def _by_tag(text: str) -> tuple[str, str | None]:
    answer: list[str] = []
    thought: list[str] = []
    start, opened, fenced = 0, None, False
    for tag in _TAG.finditer(text):
        if tag["fence"]:
            fenced = fenced != (opened is None)  # fences inside of thinking open nothing
        elif opened is not None:
            if not _opens(tag) and _kind(tag) == _kind(opened):
                thought.append(text[start : tag.start()])
                start, opened = tag.end(), None
        elif fenced:
            continue
        elif _opens(tag) and _begins_line(text, tag.start()):
            answer.append(text[start : tag.start()])
            start, opened = tag.end(), tag
        elif not (_opens(tag) or answer or thought) and _ends_line(text, tag.end()):
            thought.append(text[start : tag.start()])
            start = tag.end()
    if opened is None:
        answer.append(text[start:])
    elif _joined(answer) is None:
        thought.append(text[start:])
    else:  # a tag that the answer speaks of
        answer.append(text[opened.start() :])
    if not thought:
        return text, None
    return _SOLUTION.sub("", _joined(answer) or "").strip(), _joined(thought)


def _opens(tag: re.Match[str]) -> bool:
    if tag["name"]:
        return tag["close"] is None
    if tag[0].startswith("<|"):
        return tag["begin"] is not None
    if tag[0].startswith("<unused"):
        return tag["gemma"] is not None
    return tag["mistral_close"] is None and tag["kimi_close"] is None


def _kind(tag: re.Match[str]) -> str:
    return str(tag["name"] or tag[0][0]).lower()


def _begins_line(text: str, at: int) -> bool:
    return not text[text.rfind("\n", 0, at) + 1 : at].strip()


def _ends_line(text: str, at: int) -> bool:
    return at == len(text) or text[at : at + 2].lstrip(" \t")[:1] in ("\n", "\r")


def _joined(parts: list[str]) -> str | None:
    return "\n\n".join(part.strip() for part in parts if part.strip()) or None
