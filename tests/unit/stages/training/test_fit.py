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


sides = st.sampled_from(["user", "assistant"])


@given(sizes, st.integers(1, 120), sides, st.booleans())
def test_without_windows_a_session_is_cut_after_the_last_learned_turn_that_fits(
    sizes, limit, learned, skip
):
    messages = session(sizes)
    found, cut = fit_session(messages, learned, length, limit, windows=False, skip_first=skip)
    kept = found[0] if found else []
    assert [m["content"] for m in kept] == [m["content"] for m in messages[: len(kept)]]
    assert not kept or (kept[-1]["role"] == learned and length(kept) <= limit)
    wanted = [i for i, m in enumerate(messages) if m["role"] == learned][skip:]
    later = [i for i in wanted if i >= len(kept)]
    assert cut == len(later)
    if later:
        assert length(messages[: later[0] + 1]) > limit


def numbered(sizes, with_system):
    """A session whose messages tell their place."""
    system = [{"role": "system", "content": "be kind"}] if with_system else []
    turns = session(sizes)
    for place, message in enumerate(turns):
        message["content"] = f"{place:04}" + message["content"]
    return system + turns


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=24),
    st.integers(20, 160),
    sides,
    st.booleans(),
    st.booleans(),
)
def test_windows_learn_every_turn_once_with_a_history_and_begin_at_a_user_turn(
    sizes, limit, learned, skip, with_system
):
    messages = numbered(sizes, with_system)
    found, lost = fit_session(messages, learned, length, limit, skip_first=skip)
    wanted = [m["content"] for m in messages if m["role"] == learned][skip:]
    taught = []
    for number, sequence in enumerate(found):
        assert length(sequence) <= limit
        body = sequence[with_system:]
        assert (sequence[0]["role"] == "system") == with_system
        assert body[0]["role"] == "user"
        places = [int(m["content"][:4]) for m in body]
        assert places == list(range(places[0], places[0] + len(body)))
        new = [m["content"] for m in body if m["role"] == learned and m.get("learn", True)]
        assert new
        assert body[-1]["content"] == new[-1]
        if number and learned == "user":
            assert body[0]["content"] != new[0]
        if number and places[0] > 0:  # the history begins as early as fits
            start = with_system + places[0] - 2
            assert (
                length([*messages[:with_system], *messages[start : start + len(body) + 2]]) > limit
            )
        taught += new
    assert len(taught) == len(set(taught)) == len(wanted) - lost
    assert set(taught) <= set(wanted)


def test_half_of_a_windows_room_is_for_the_history_of_its_turns():
    messages = session([10] * 40)
    found, lost = fit_session(messages, "user", length, 100)
    assert lost == 0
    for sequence in found[1:]:
        first = next(i for i, m in enumerate(sequence) if m["role"] == "user" and "learn" not in m)
        assert length(sequence[:first]) > 50 - 20  # half, less the turn that fits no more


def test_a_response_that_teaches_the_asker_nothing_is_left_out():
    found, cut = fit_session(session([3, 90, 4, 90]), "user", length, 100)
    assert [[len(m["content"]) for m in kept] for kept in found] == [[3, 90, 4]]
    assert cut == 0


def test_a_session_with_only_an_opening_query_teaches_nothing_when_that_is_skipped():
    assert fit_session(session([3, 9]), "user", length, 100, skip_first=True) == ([], 0)


def test_an_opening_query_that_is_skipped_is_there_without_its_loss():
    ((first, *_),), _ = fit_session(session([3, 9, 3]), "user", length, 100, skip_first=True)
    assert first["learn"] is False


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
