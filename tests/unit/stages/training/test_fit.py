from hypothesis import given
from hypothesis import strategies as st

from parrot_core.stages.training.fit import fit_pair, fit_session


def length(messages):
    return sum(len(message["content"]) for message in messages)


def session(sizes, first="user"):
    other = {"user": "assistant", "assistant": "user"}[first]
    roles = [first, other]
    return [{"role": roles[i % 2], "content": "x" * n} for i, n in enumerate(sizes)]


sizes = st.lists(st.integers(1, 30), min_size=1, max_size=12)


@given(sizes, st.integers(1, 120), st.sampled_from(["user", "assistant"]))
def test_a_session_is_cut_after_the_last_learned_turn_that_fits(sizes, limit, learned):
    messages = session(sizes)
    kept, cut = fit_session(messages, learned, length, limit)
    assert kept == messages[: len(kept)]
    assert not kept or (kept[-1]["role"] == learned and length(kept) <= limit)
    later = [m for m in messages[len(kept) :] if m["role"] == learned]
    assert cut == len(later)
    if later:
        end = next(i for i in range(len(kept), len(messages)) if messages[i]["role"] == learned)
        assert length(messages[: end + 1]) > limit


def test_a_response_that_teaches_the_asker_nothing_is_left_out():
    kept, cut = fit_session(session([3, 90, 4, 90]), "user", length, 100)
    assert [len(m["content"]) for m in kept] == [3, 90, 4]
    assert cut == 0


def test_a_session_with_only_an_opening_query_teaches_nothing_when_that_is_skipped():
    assert fit_session(session([3, 9]), "user", length, 100, skip_first=True) == ([], 0)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=9), st.integers(1, 150), st.booleans())
def test_a_pair_keeps_its_final_query_and_loses_its_oldest_turns_first(sizes, limit, with_system):
    history = session(sizes if len(sizes) % 2 else sizes[1:] or [5])
    system = [{"role": "system", "content": "be kind"}] if with_system else []
    prompt = system + history
    answers = ([{"role": "assistant", "content": "y" * 9}], [{"role": "assistant", "content": "n"}])
    kept, cut = fit_pair(prompt, answers, length, limit)
    if not kept:
        assert length([*system, prompt[-1], *answers[0]]) > limit
        return
    assert length([*kept, *answers[0]]) <= limit
    assert kept[: len(system)] == system
    rest = kept[len(system) :]
    assert rest == history[2 * cut :]
    assert rest[0]["role"] == "user"
    if cut:
        assert length([*system, *history[2 * cut - 2 :], *answers[0]]) > limit
