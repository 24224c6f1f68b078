from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.context import Cue, detect
from parrot_core.context.english.model import trained_model
from parrot_core.context.query import Query
from parrot_core.engines.types import Message

BEFORE: list[Message] = [
    {"role": "user", "content": "Tell me how to grow tomatoes on a balcony."},
    {
        "role": "assistant",
        "content": "Plant them in May and water them each day. Cherry tomatoes do best in pots.",
    },
]


def find_cue(query: str, language: str | None, history: Sequence[Message] = ()) -> Cue | None:
    return next(iter(detect(query, history, language).cues), None)


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
    ("comparative", "Any other API recommendation?"),
    ("comparative", "use a struct instead"),
    ("edit", "change 'employee' to team"),
    ("return", "Back to the pot: does clay dry faster?"),
    ("return", "Let's return to what we paid, was the price fair?"),
    ("return", "What was wrong with the plan I began with?"),
    ("return", "Is your first estimate still good?"),
    ("correction", "Hang on, the train leaves earlier."),
    ("correction", "Sorry, Tuesday was right."),
    ("correction", "I forgot to say: only in winter"),
    ("correction", "Make that 2024, please."),
    ("definite", "Which of the three plans costs least?"),
    ("definite", "What would the neighbours say, then?"),
    ("ellipsis", "write in python now"),
    ("fragment", "Which sold best?"),
    ("fragment", "A version as a haiku?"),
]

STANDS_ALONE = [
    "What is the capital of France?",
    "Write a story about a fox who loses its tail.",
    "Is it possible to learn German in a year?",
    "How long does it take to boil an egg?",
    "Explain the seven objectives of national policy of India",
    "what are column family datastores and their features",
    "List the largest hotel chains in the US",
    "If I have a list of names, how do I sort it in Python?",
    "any issue with this code\n\nimport React from 'react';\nconst x = () => <div>hello</div>;\n",
    "Summarize this text: The Danube rises in Germany and flows for 2,850 km to the Black Sea.",
    "Back to the Future came out in which year?",
    "How can I get back to the home screen on Android?",
    "Sorry if I ask too much, but what is a compiler?",
    "A parcel weighs 3, sorry, 4 kg and costs 2 euros a kilo. What do I pay?",
    "Which of the two rivers is longer, the Rhine or the Rhône?",
    "Which is faster, a train or a coach?",
    "9. What are the different types of problems?",
    "I want to use the tone() function to drive the speaker",
    "",
]


@pytest.mark.parametrize(("rule", "query"), LEANS)
def test_a_query_that_leans_on_the_conversation_shows_its_cue(rule: str, query: str) -> None:
    cue = find_cue(query, "en", BEFORE)
    assert cue is not None
    assert query[slice(*cue.span)].strip()
    assert cue.kind == rule


@pytest.mark.parametrize("query", STANDS_ALONE)
def test_a_query_that_stands_alone_shows_none(query: str) -> None:
    assert find_cue(query, "en", BEFORE) is None


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
        ("return", "说回乙管，漏水怎么办？"),
        ("return", "跟第一版比，哪里变了？"),
        ("correction", "我记反了，甲管才对"),
        ("correction", "慢着，我有四天时间"),
    ],
)
def test_chinese_cues_are_seen_whatever_the_sessions_language(rule: str, query: str) -> None:
    for language in ("zh", "en", None):
        cue = find_cue(query, language)
        assert cue is not None
        assert cue.kind == rule


@pytest.mark.parametrize(
    "query",
    [
        "中国的首都是哪里？",
        "从二维翼型的角度描述动态失速",
        "你好",
        "再见，晚安！",
        "从成都回到北京坐高铁要多久？",
    ],
)
def test_a_chinese_query_that_stands_alone_shows_none(query: str) -> None:
    assert find_cue(query, "zh") is None


SAID: list[Message] = [
    {
        "role": "user",
        "content": "How many slabs, 400 by 600 mm, does the south wall of a shed need?",
    },
    {"role": "assistant", "content": "Twelve slabs, and one cut in half at the door."},
]


@pytest.mark.parametrize(
    "query",
    [
        "Will the slabs crack?",
        "Are the 400 a minimum?",
        "That door opens to the inside.",
        "The north wall, not the south.",
    ],
)
def test_what_a_query_names_as_known_depends(query: str) -> None:
    assert detect(query, SAID).depends


def test_words_of_the_history_weigh_in_the_verdict() -> None:
    query = Query("Will the slabs crack?", ("How many slabs does the wall need?",))
    other = Query("Will the slabs crack?", ("How many eggs does the cake need?",))
    assert trained_model().score(query) != trained_model().score(other)


@pytest.mark.parametrize(
    "query",
    [
        "How far is the sun from the earth?",
        "What is the door of a submarine called?",
        "Name a slab of stone, not a metal",
    ],
)
def test_a_word_of_the_history_alone_is_no_cue(query: str) -> None:
    assert not detect(query, SAID).depends


def test_in_chinese_too_what_one_goes_back_to_must_have_been_said() -> None:
    said: list[Message] = [{"role": "user", "content": "第二天去文殊院"}]
    assert detect("回到文殊院，要多久？", said).cues[0].kind == "return"
    assert not detect("回到北京，要多久？", said).depends
    assert detect("是宝光寺，不是文殊院", said).cues[0].kind == "correction"


def test_a_language_without_rules_shows_no_cue() -> None:
    assert find_cue("Und im Winter?", "de") is None
    assert find_cue("それはどこですか", "en") is None


@given(query=st.text(max_size=600), language=st.sampled_from(["en", "zh", "en-GB", None, "fr"]))
def test_any_text_gives_none_or_a_span_within_it(query: str, language: str | None) -> None:
    cue = find_cue(query, language)
    if cue is not None:
        start, end = cue.span
        assert 0 <= start < end <= len(query)
