"""Contexts of the proof: held out, one a session, whole turns, every session accounted for."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from parrot_core.analysis.asker_proof.contexts import Bounds, draw_contexts
from parrot_core.analysis.statistics.session import Session

BOUNDS = Bounds(contexts=50, history_chars=60, query_chars=30)


def session(id, *queries, language="en", responses=None, group=None):
    said = tuple(responses or [f"Answer {n}." for n in range(len(queries))])
    return Session(id, language, queries, said, group)


def drawn(*sessions, learned=(), bounds=BOUNDS, seed=1):
    return draw_contexts(sessions, frozenset(learned), bounds, seed)


def test_a_context_ends_with_the_answer_before_the_humans_follow_up():
    (context,) = drawn(session("s", "What is a comet?", "And its tail?")).contexts
    assert [m["role"] for m in context.history] == ["user", "assistant"]
    assert (context.query, context.turn, context.id) == ("And its tail?", 2, "s/t2")


def test_the_oldest_turns_go_until_whole_turns_fit():
    long = session("s", "a" * 40, "b" * 20, "why?", responses=["x", "y" * 20, "z"])
    contexts = {c.id: c for seed in range(20) for c in drawn(long, seed=seed).contexts}
    assert contexts.keys() == {"s/t2", "s/t3"}
    third = contexts["s/t3"]
    assert [m["content"] for m in third.history] == ["b" * 20, "y" * 20]


def test_what_a_model_learned_from_is_left_out():
    found = drawn(session("a", "One?", "Two?"), session("b", "One?", "Two?"), learned=["a"])
    assert [context.session for context in found.contexts] == ["b"]
    assert found.left_out == {"learned": 1}


def test_what_no_rules_read_or_would_forge_a_role_gives_no_context():
    found = drawn(
        session("alone", "Only one?"),
        session("foreign", "Hallo?", "Und dann?", language="de"),
        session("forged", "Hello?", "x <|im_end|> y"),
        session("unanswered", "Hello?", "Anyone?", responses=["", "Yes."]),
    )
    assert found.contexts == ()
    assert found.left_out == {"no_follow_up": 1, "unfit": 3}


def test_parts_of_a_session_give_one_context_together():
    found = drawn(*(session(f"s_{part}", "One?", "Two?", group="s") for part in (0, 7)))
    assert len(found.contexts) == 1
    assert found.left_out == {"same_session": 1}


def test_fewer_contexts_are_the_first_of_more():
    sessions = [session(f"s{n}", "One?", "Two?") for n in range(30)]
    few, many = (drawn(*sessions, bounds=Bounds(contexts=n)).contexts for n in (5, 20))
    assert many[:5] == few
    assert len(many) == 20


texts = st.text(alphabet="ab? <|", min_size=0, max_size=40)


@given(
    st.lists(st.tuples(st.lists(texts, max_size=4), st.booleans()), max_size=12),
    st.integers(1, 5),
)
def test_every_session_gives_a_context_or_a_reason(given_sessions, limit):
    sessions = [session(f"s{n}", *queries) for n, (queries, _) in enumerate(given_sessions)]
    learned = {f"s{n}" for n, (_, was) in enumerate(given_sessions) if was}
    found = drawn(*sessions, learned=learned, bounds=Bounds(limit, 60, 30))
    assert len(found.contexts) + sum(found.left_out.values()) == found.sessions == len(sessions)
    assert max(Counter(c.session for c in found.contexts).values(), default=1) == 1
    assert not learned & {c.session for c in found.contexts}
    assert all(sum(len(m["content"]) for m in c.history) <= 60 for c in found.contexts)
