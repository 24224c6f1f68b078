"""Parts of a program that the conversation made, by their name: 请实现 generatePuzzle 方法."""

import re

from parrot_core.context.query import Query

_HEAD_CHARS = 80
_BARE_CHARS = 30
_IMPLEMENT = re.compile(r"实现|實現|实作|實作|补全|補全")
_OWN_NAME = re.compile(
    r"(?<![A-Za-z0-9_./-])(?:[a-z]+(?:[A-Z][a-z0-9]*)+|[A-Za-z]+(?:\\?_[A-Za-z0-9]+)+|\w+\(\)"
    r"|[\w-]+\.(?:tsx?|jsx?|py|java|kt|c|cpp|cs|go|rs|sh|html|css|vue|json|ya?ml"
    r"|sql))(?![A-Za-z0-9_])"
)
_WORK_ON = re.compile(
    r"实现|實現|实作|實作|补全|補全|完成|修改|改|修正|修复|修復|重构|重構|优化|優化|拆|删|刪"
    r"|去掉|加|移|写出|寫出|给出|給出"
    r"|单独|單獨|继续|繼續|测试|測試"
)


def find_named(query: Query) -> tuple[int, int] | None:
    """Return the span of an identifier that was said before and is now to be worked on.

    A name somebody coined says nothing to a stranger; a question about one (*useEffect 是什么*)
    is taken to be about a library's, which says enough. A short request to implement one tells by
    itself that it was coined, wherever it was said.
    """
    if query.brings_material or not _WORK_ON.search(query.head[:_HEAD_CHARS]):
        return None
    bare = len(query.text) <= _BARE_CHARS and _IMPLEMENT.search(query.head)
    for found in _OWN_NAME.finditer(query.head[:_HEAD_CHARS]):
        name = found.group().removesuffix("()")
        if bare or any(name in text for text in query.history):
            return found.span()
    return None
