"""Of copies one stays, and what is linked is one group, as a plain search would find them."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.recipe import NearDuplicates
from parrot_core.stages.ingest.distinct import ComparedSession, Distinct, DuplicateVerdict
from parrot_core.stages.ingest.examine import Examined
from parrot_core.stages.ingest.shingles import Shingler

DRAWN = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14)


def _session(place: int, base: int, turns: int, order: int) -> ComparedSession:
    return ComparedSession(
        id=f"id{place}",
        source_ids=[f"id{place}"],
        base=f"base{base}",
        source="dump",
        record_index=place,
        order=order,
        language=None,
        system=None,
        flags=[],
        opens=True,
        ends=True,
        turns=turns,
        benchmark="a question" if turns == 6 else None,
    )


def _judged(
    sessions: list[tuple[ComparedSession, int]],
) -> list[tuple[ComparedSession, DuplicateVerdict]]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        distinct = Distinct(NearDuplicates(similarity=None), Shingler(), Path(folder), stack)
        for session, content in sessions:
            digest = bytes([content + 1]) * 16
            found = Examined(b"[]", session.turns, None, (), (), digest, None, None, None)
            distinct.add(session, found)
        distinct.judge()
        judged = [(session, verdict) for session, _, verdict in distinct.in_order()]
        assert distinct.figures["groups"] == len({verdict.group for _, verdict in judged})
        return judged


def _component(sessions: list[tuple[ComparedSession, int]], start: int) -> set[int]:
    reached, left = {start}, [start]
    while left:
        session, content = sessions[left.pop()]
        for place, (other, others) in enumerate(sessions):
            if place not in reached and (other.base == session.base or others == content):
                reached.add(place)
                left.append(place)
    return reached


@settings(deadline=None)
@given(drawn=DRAWN, random=st.randoms(use_true_random=False))
def test_one_of_each_content_stays_and_groups_are_what_ids_and_contents_link(
    drawn: list[tuple[int, int]], random: Random
) -> None:
    orders = random.sample(range(100), len(drawn))
    sessions = [
        (_session(place, base, content, orders[place]), content)  # as long as its content says
        for place, (base, content) in enumerate(drawn)
    ]
    judged = _judged(sessions)
    assert [session.order for session, _ in judged] == sorted(orders)
    verdicts = {session.id: verdict for session, verdict in judged}
    for place, (session, content) in enumerate(sessions):
        copies = [other.id for other, same in sessions if same == content]
        first = [id for id in copies if not _is_copy(verdicts[id])]
        assert len(first) == 1
        verdict = verdicts[session.id]
        if session.id != first[0]:
            assert verdict.rejection is not None
            assert verdict.rejection.detail == f"the same messages as {first[0]}"
        elif content == 6:
            assert verdict.rejection is not None
            assert verdict.rejection.reason == "contaminated"
        else:
            assert verdict.rejection is None
        linked = [sessions[other] for other in _component(sessions, place)]
        longest = max(content for _, content in linked)
        assert verdict.group in {one.base for one, content in linked if content == longest}
        assert {verdicts[one.id].group for one, _ in linked} == {verdict.group}


def _is_copy(verdict: DuplicateVerdict) -> bool:
    return verdict.rejection is not None and verdict.rejection.reason == "duplicate"


def test_no_sessions_are_no_groups() -> None:
    assert _judged([]) == []
