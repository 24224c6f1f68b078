"""Text rule: what a Markdown converter did to plain words, links and entities is undone.

ShareGPT's dumps were made from the page's HTML by a converter that escapes every ``_`` and ``*``
(``user\\_id``) and writes a mail address as a link to itself. Undone is only what is certain: all
underscores, or asterisks, of a text are escaped, as the converter leaves them; and nothing in it
speaks of the escapes themselves (LaTeX's text commands, SQL's ``LIKE … ESCAPE``, regular
expressions). An answer's code is as it was: the converter doesn't escape in code.
"""

import html
import re
from collections.abc import Callable

from parrot_core.stages.ingest.rules.gate import Gate
from parrot_core.stages.ingest.rules.rule import CODE, ChosenRule, outside_code

_SPEAKS_OF_ESCAPES = (
    *("escap", "backslash", "underscore", "asterisk", "regex", "import re\n", "re.sub(", "sed -"),
    *("[^", "like '", 'like "'),
)
"""In lower case. A regular expression would take ten times as long."""
_LATEX = re.compile(r"\\(?:text|verb|begin|math|documentclass|usepackage|section|operatorname)")
# Each begins with what is looked for, which Python's engine finds fast.
_BARE_UNDERSCORE = re.compile(r"_(?<!\\_)")
_UNDERSCORE = re.compile(r"\\_(?<!\\\\_)")
_BARE_ASTERISK = re.compile(r"\*(?<!\\\*)(?:(?!\s)|(?<=\S\*)|(?<=[^\s*] \*))")
_ASTERISK = re.compile(r"\\\*(?<!\\\\\*)")
_BETWEEN_SPACES = re.compile(r"\\\*(?<=[ \w)\]]\\\*)(?= )")
_LINK_TO_ITSELF = re.compile(r"\[(?P<text>[^\[\]\s]{3,300})\]\((?P<to>[^()\s]{3,300})\)")
_ENTITY_IN_A_WORD = re.compile(
    r"&(?:(?<=\w&)(?:#39|#x27|apos|rsquo);(?=[a-z]{1,2}\b)|(?<= &)amp;(?= ))"
)
_MARKUP = re.compile(r"</?[a-zA-Z!]|\b(?:html|xml|xhtml|entit(?:y|ies)|encod\w*)\b", re.IGNORECASE)

GATE = Gate((r"\\[_*]", r"\]\(", r"&(?:amp|apos|rsquo|#39|#x27);"))


def markdown_escapes(text: str, role: str) -> str:
    """Escapes of a text that the converter went over, links to themselves, entities in words."""
    if "](" in text:
        text = _LINK_TO_ITSELF.sub(_plain_link, text)
    if "\\_" in text or "\\*" in text:
        text = _unescaped(text, role)
    if "&" in text and _ENTITY_IN_A_WORD.search(text) and not _MARKUP.search(text):
        text = outside_code(text, lambda prose: _ENTITY_IN_A_WORD.sub(_character, prose))
    return text


def _unescaped(text: str, role: str) -> str:
    """A user's text was escaped as a whole, an answer's outside its code."""
    prose = text if role == "user" or "`" not in text else CODE.sub(" ", text)
    lower = prose.lower()
    if any(sign in lower for sign in _SPEAKS_OF_ESCAPES) or _LATEX.search(prose):
        return text
    everywhere: Callable[[str, Callable[[str], str]], str] = (
        (lambda whole, change: change(whole)) if role == "user" else outside_code
    )
    if _UNDERSCORE.search(prose) and not _has_bare_underscore(prose):
        text = everywhere(text, lambda part: _UNDERSCORE.sub("_", part))
    if _ASTERISK.search(prose) and not _BARE_ASTERISK.search(prose):
        asterisk = _ASTERISK if role == "user" else _BETWEEN_SPACES
        text = everywhere(text, lambda part: asterisk.sub("*", part))
    return text


_TARGET = re.compile(r"\]\([^()\s]*\)|https?://[^\s)\]]+")


def _has_bare_underscore(text: str) -> bool:
    """Outside addresses, which the converter leaves as they are."""
    found = _BARE_UNDERSCORE.search(text)
    return found is not None and _BARE_UNDERSCORE.search(_TARGET.sub(" ", text)) is not None


def _plain_link(found: re.Match[str]) -> str:
    """A link whose text is its address, which is what a page's bare address becomes."""
    shown = found["text"].replace("\\_", "_").rstrip("/").lower()
    address = html.unescape(found["to"]).rstrip("/").lower()
    targets = (address, address.removeprefix("mailto:"), address.partition("://")[2])
    return found["text"].replace("\\_", "_") if shown in targets else found[0]


def _character(found: re.Match[str]) -> str:
    return html.unescape(found[0])


RULE = ChosenRule(markdown_escapes, GATE)
