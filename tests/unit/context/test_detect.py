import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.context import Cue, detect


def find_cue(query: str, language: str | None) -> Cue | None:
    return next(iter(detect(query, (), language).cues), None)


LEANS = [
    ("pronoun", "How tall is it?"),
    ("pronoun", "When was he born?"),
    ("pronoun", "Describe their looks & age"),
    ("pronoun", "can you make it sound more friendly"),
    ("demonstrative", "What does that mean?"),
    ("demonstrative", "How would I explain this to a 5 year old?"),
    ("demonstrative", "what are the objectives of such an application?"),
    ("demonstrative", "That's not funny."),
    ("discourse", "Can you write an essay based on the above points?"),
    ("discourse", "The env parameter you suggested generates an error."),
    ("discourse", "i mean common filter way"),
    ("definite", "Explain the second one"),
    ("definite", "how much space is required according to point 1"),
    ("edit", "Rephrase the description in 200 characters"),
    ("ellipsis", "And in winter?"),
    ("ellipsis", "What about Germany?"),
    ("ellipsis", "Why?"),
    ("fragment", "in python"),
    ("ellipsis", "Thanks! Now write one for cats"),
    ("continuation", "continue"),
    ("continuation", "Please go on"),
    ("continuation", "more"),
    ("continuation", "Yes"),
    ("comparative", "list 10 more"),
    ("comparative", "a shorter version please"),
    ("comparative", "Are there some other options?"),
    ("ellipsis", "Any other API recommendation?"),
    ("comparative", "use a struct instead"),
    ("edit", "change 'employee' to team"),
]

STANDS_ALONE = [
    "What is the capital of France?",
    "Write a story about a fox who loses its tail.",
    "Is it possible to learn German in a year?",
    "How long does it take to boil an egg?",
    "Explain the seven objectives of national policy of India",
    "Which is faster, Go or Rust?",
    "what are column family datastores and their features",
    "List the largest hotel chains in the US",
    "If I have a list of names, how do I sort it in Python?",
    "Thanks!",
    "any issue with this code\n\nimport React from 'react';\nconst x = () => <div>hello</div>;\n",
    "Summarize this text: The Danube rises in Germany and flows for 2,850 km to the Black Sea.",
    "9. What are the different types of problems?",
    "I want to use the tone() function to drive the speaker",
    "",
]


@pytest.mark.parametrize(("rule", "query"), LEANS)
def test_a_query_that_leans_on_the_conversation_shows_its_cue(rule: str, query: str) -> None:
    cue = find_cue(query, "en")
    assert cue is not None
    assert query[slice(*cue.span)].strip()
    assert cue.kind == rule


@pytest.mark.parametrize("query", STANDS_ALONE)
def test_a_query_that_stands_alone_shows_none(query: str) -> None:
    assert find_cue(query, "en") is None


@pytest.mark.parametrize(
    ("rule", "query"),
    [
        ("pronoun", "它有多高？"),
        ("pronoun", "他們是誰"),
        ("demonstrative", "这个怎么用"),
        ("demonstrative", "那個比較好？"),
        ("discourse", "请解释上面的代码"),
        ("definite", "第二个是什么意思"),
        ("continuation", "继续"),
        ("edit", "改用axios"),
        ("ellipsis", "要是更喜欢猫呢？"),
    ],
)
def test_chinese_cues_are_seen_whatever_the_sessions_language(rule: str, query: str) -> None:
    for language in ("zh", "en", None):
        cue = find_cue(query, language)
        assert cue is not None
        assert cue.kind == rule


@pytest.mark.parametrize("query", ["中国的首都是哪里？", "从二维翼型的角度描述动态失速", "你好"])
def test_a_chinese_query_that_stands_alone_shows_none(query: str) -> None:
    assert find_cue(query, "zh") is None


def test_a_language_without_rules_shows_no_cue() -> None:
    assert find_cue("Und im Winter?", "de") is None
    assert find_cue("それはどこですか", "en") is None


@given(query=st.text(max_size=600), language=st.sampled_from(["en", "zh", "en-GB", None, "fr"]))
def test_any_text_gives_none_or_a_span_within_it(query: str, language: str | None) -> None:
    cue = find_cue(query, language)
    if cue is not None:
        start, end = cue.span
        assert 0 <= start < end <= len(query)
