"""Text rule: an answer that was exported as the page's HTML becomes Markdown, its code verbatim.

ShareGPT's usual dumps are Markdown already, and the HTML in them is code that somebody asked
about; it stays. Only ChatGPT's own markup around a whole answer is converted, which begins with
``<div class="markdown``.
"""

import html
import re

from parrot_core.stages.ingest.rules.gate import SPACE, Gate
from parrot_core.stages.ingest.rules.rule import ChosenRule

_EXPORTED = '<div class="markdown'
_PRE = re.compile(r"<pre\b[^>]*>(?P<inside>.*?)</pre>", re.DOTALL | re.IGNORECASE)
_CODE = re.compile(r"<code\b(?P<tag>[^>]*)>(?P<text>.*?)</code>", re.DOTALL | re.IGNORECASE)
_LANGUAGE = re.compile(r"\blanguage-([\w+#.-]+)")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_TICKS = re.compile(r"`{3,}")

GATE = Gate((f"^{SPACE}*{_EXPORTED}",), "assistant")


def html_to_markdown(text: str, role: str) -> str:
    """Code blocks are taken out before the conversion and put back as they were."""
    if role != "assistant" or not text.lstrip().startswith(_EXPORTED):
        return text
    from html_to_markdown import convert

    blocks: list[str] = []

    def take_out(found: re.Match[str]) -> str:
        blocks.append(_fenced(found["inside"]))
        return f"<p>\ue000{len(blocks) - 1}\ue001</p>"

    markdown = convert(_PRE.sub(take_out, text)).content or ""
    return re.sub("\ue000(\\d+)\ue001", lambda place: blocks[int(place[1])], markdown).strip()


def _fenced(inside: str) -> str:
    """A code block without the bar above it, which holds the language and a button."""
    code = _CODE.search(inside)
    text = html.unescape(_TAG.sub("", code["text"] if code else inside)).strip("\n")
    language = _LANGUAGE.search(code["tag"]) if code else None
    longest = max((len(ticks) for ticks in _TICKS.findall(text)), default=2)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language[1] if language else ''}\n{text}\n{fence}"


RULE = ChosenRule(html_to_markdown, GATE)
