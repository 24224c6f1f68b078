"""Exported pages become Markdown with their code as it was; the page's own words go."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.stages.ingest.rules.characters import characters
from parrot_core.stages.ingest.rules.html_to_markdown import html_to_markdown
from parrot_core.stages.ingest.rules.interface import interface

BAR = '<div class="flex"><span>python</span><button class="ml-auto">Copy code</button></div>'


def _page(inside: str) -> str:
    return f'<div class="markdown prose w-full light">{inside}</div>'


def _block(code: str) -> str:
    escaped = html.escape(code)
    inside = f'<div class="p-4"><code class="hljs language-python">{escaped}</code></div>'
    return f'<pre><div class="bg-black">{BAR}{inside}</div></pre>'


def test_an_exported_answer_becomes_markdown() -> None:
    page = _page(
        "<p>Use <strong>this</strong> &amp; <code>a_b</code>:</p>"
        + _block("def f(a_b):\n    return a < b  # *x*\n")
        + "<ul><li>one</li><li>two</li></ul>"
    )
    markdown = html_to_markdown(page, "assistant")
    assert "Use **this** & `a_b`:" in markdown
    assert "```python\ndef f(a_b):\n    return a < b  # *x*\n```" in markdown
    assert "- one\n- two" in markdown
    assert "Copy code" not in markdown


@given(st.text(alphabet="ab<>&`*_# \n\t{}\"'", max_size=80))
def test_code_of_an_exported_answer_is_kept_verbatim(code: str) -> None:
    markdown = html_to_markdown(_page("<p>So:</p>" + _block(code)), "assistant")
    assert code.strip("\n") in markdown


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("<div class='a'>What is wrong with this?</div>", "user"),
        (_page("<p>mine</p>"), "user"),
        ('Use `<div class="markdown">` for it, <b>always</b>.', "assistant"),
        ('```html\n<div class="markdown"><p>x</p></div>\n```', "assistant"),
    ],
)
def test_html_that_people_talk_about_stays(text: str, role: str) -> None:
    assert html_to_markdown(text, role) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fix it:\n\nyaml\nCopy code\nopenapi: 3", "Fix it:\n\nopenapi: 3"),
        ("Copy code\nx = 1", "x = 1"),
        ("Why does the Copy code button fail?", "Why does the Copy code button fail?"),
        ("go onShare Prompt\n2 / 2", "go on"),
        ("Go on.\nRegenerate response", "Go on."),
        ("Hello\nModel: GPT-4", "Hello"),
        ("What is 3 / 2", "What is 3 / 2"),
        ("Look:\n\nsqlCopy codeFROM nginx", "Look:\n\nFROM nginx"),
        ("go on\n2 / 2\n\nand on", "go on\n\nand on"),
        ("A story.\nThis content may violate our content policy. If you believe so …", "A story."),
    ],
)
def test_the_pages_own_words_go(text: str, expected: str) -> None:
    assert interface(text, "user") == expected
    assert interface(text, "assistant") == text


def test_invisible_characters_go_and_joined_emoji_stay() -> None:
    assert characters("a\u200bb\u00adc\u202ed\ufeff", "user") == "abcd"
    family = "\U0001f468\u200d\U0001f469"
    assert characters(family, "user") == family


_RESIDUE = st.sampled_from(["Share Prompt", " 1 / 2", "\nCopy code\n", "x", "\n", " ", "\u200b"])


@given(st.lists(_RESIDUE, max_size=10).map("".join))
def test_each_rule_leaves_nothing_for_a_second_time(text: str) -> None:
    for rule in (interface, characters):
        once = rule(text, "user")
        assert rule(once, "user") == once
