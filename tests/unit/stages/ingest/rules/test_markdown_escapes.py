"""Escapes of a Markdown converter are undone where that is certain, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.recipe import Ingest
from parrot_core.stages.ingest.clean import clean_texts
from parrot_core.stages.ingest.rule_log import RuleLog
from parrot_core.stages.ingest.rules import hide_people
from parrot_core.stages.ingest.rules.markdown_escapes import markdown_escapes


@pytest.mark.parametrize(
    ("text", "role", "expected"),
    [
        ("Why does user\\_id fail?", "user", "Why does user_id fail?"),
        ("def \\_\\_init\\_\\_(self):", "user", "def __init__(self):"),
        ("The `a_b` of max\\_len is 2 \\* 3.", "assistant", "The `a_b` of max_len is 2 * 3."),
        ("```py\nx\\_y\n```\nUse x\\_y.", "assistant", "```py\nx\\_y\n```\nUse x_y."),
        ("```py\nx\\_y = 1\n```", "user", "```py\nx_y = 1\n```"),
        ("See [https://a.org/b_c](https://a.org/b_c)", "user", "See https://a.org/b_c"),
        ("[www.a.org](http://www.a.org/)", "assistant", "www.a.org"),
        ("[me@web.org](mailto:me@web.org)", "user", "me@web.org"),
        ("He said it&#39;s R &amp; B.", "user", "He said it's R & B."),
        ("\\*\\*Bold\\*\\* claim", "user", "**Bold** claim"),
    ],
)
def test_what_the_converter_did_is_undone(text: str, role: str, expected: str) -> None:
    assert markdown_escapes(text, role) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Both my_var and your\\_var are here.",
        "WHERE name LIKE '%\\_id' ESCAPE '\\'",
        "In LaTeX: \\texttt{user\\_id}",
        "How do I escape user\\_id?",
        "The regex a\\_b matches.",
        "C:\\\\_temp",
        "A [link](https://a.org) to it",
        "<p>it&#39;s &amp; more</p>",
        "In HTML it&#39;s an entity",
        "*this* is 2 \\* 3",
        "[^\\_] means no underscore",
    ],
)
def test_what_may_be_meant_stays(text: str) -> None:
    for role in ("user", "assistant"):
        assert markdown_escapes(text, role) == text


_PIECES = st.sampled_from(
    ["a", "\\_", "\\*", "_", "*", " ", "`", "```", "\n", "&#39;", "&amp;", "](", "[", ")", "\\"]
)


@given(st.lists(_PIECES, max_size=20).map("".join), st.sampled_from(["user", "assistant"]))
def test_nothing_but_escapes_entities_and_links_is_touched(text: str, role: str) -> None:
    after = markdown_escapes(text, role)
    assert after.count("a") <= text.count("a")
    assert after.split().count("a") >= text.split().count("a")
    if "\\" not in text and "&" not in text and "](" not in text:
        assert after == text


def test_a_masked_link_becomes_its_placeholder_alone() -> None:
    settings = Ingest(sources=("-",))
    for text in (
        "Write to [jo.doe@web.org](mailto:jo.doe@web.org).",
        "Write to [jo\\_doe@web.org](mailto:jo_doe@web.org).",
        "Write to [<EMAIL>](mailto:<EMAIL>).",
    ):
        [[cleaned]] = clean_texts([("x", [{"role": "user", "content": text}])], settings, RuleLog())
        assert cleaned["content"] == "Write to <EMAIL>."


@pytest.mark.parametrize(
    "text",
    [
        "Dear Maria, how are you",
        "ask John Smith-Jones",
        "Dr. Weber",
        "我叫王小明",
        "I'm Ada",
        "ask Pat O'Brien",
        "and Ron McDonald",
    ],
)
def test_no_persons_name_is_in_an_example(text: str) -> None:
    log = RuleLog()
    log.changed("rule", "a", f"{text}.", text)
    log.shortened("turns", "b", [{"role": "user", "content": text}] * 2, [])
    log.found("check", "c", text)
    for examples in log.metrics()["examples"].values():
        assert "<NAME>" in str(examples)
    assert "<NAME>" in hide_people(text)
