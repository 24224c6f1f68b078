"""A text as Markdown, safely: nothing in it can become a link, an image or HTML of its own.

The parser escapes all HTML and knows no links and images here; what is left are headings, lists,
tables, emphasis and code. Code is coloured by Pygments, which escapes it.
"""

from html import escape

from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from parrot_core.text.sanitise import sanitise

OFF = ("link", "image", "autolink", "reference", "html_inline", "html_block", "linkify", "entity")
LONGEST_CODE = 50_000

_FORMATTER: HtmlFormatter[str] = HtmlFormatter(nowrap=True, classprefix="hl-")


def rendered(text: str, limit: int) -> str:
    """HTML of a text, made visible where it is invisible, and clipped."""
    return str(_MARKDOWN.render(sanitise(text, limit)))


def _coloured(code: str, language: str, _: str) -> str:
    if len(code) > LONGEST_CODE:
        return escape(code)
    try:
        return str(highlight(code, get_lexer_by_name(language[:40]), _FORMATTER))
    except ClassNotFound:
        return escape(code)


_MARKDOWN = (
    MarkdownIt("commonmark", {"html": False, "linkify": False, "highlight": _coloured})
    .enable(["table", "strikethrough"])
    .disable(list(OFF), ignoreInvalid=True)
)
