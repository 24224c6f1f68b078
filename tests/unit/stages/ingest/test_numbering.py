"""Ids that end in numbers are taken for parts of sessions only where the messages agree."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.lake.stage_plan import ShardPlan, Slice
from parrot_core.stages.base import Row
from parrot_core.stages.ingest.assemble import AssembleStage
from parrot_core.stages.ingest.language import Guess
from parrot_core.stages.ingest.numbering import MOST_PARTS
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.stage_work import FakeWork

ROLES = ("user", "assistant")


class _English:
    def detect(self, text: str) -> Guess:
        return Guess("en", 0.9)


def _row(session: str, number: int, texts: Sequence[str], first: int = 0, file: str = "f") -> Row:
    return {
        "id": f"{file}:{session}_{number}",
        "source_ids": [f"{file}.json#0"],
        "language": None,
        "source": "chats",
        "record_index": 0,
        "session": session,
        "part": True,
        "first_message": number,
        "messages": [{"role": ROLES[(first + i) % 2], "content": t} for i, t in enumerate(texts)],
    }


def _session(name: str, starts: Sequence[int], length: int, repeats: bool = True) -> list[Row]:
    """A long session cut where the starts say; each part repeats the message before its start."""
    texts = [f"message {n} of the session {name}" for n in range(length)]
    ends = [*starts[1:], length]
    rows = []
    for start, end in zip(starts, ends, strict=True):
        begin = start - 1 if repeats and start else start
        rows.append(_row(name, begin, texts[begin:end], begin))
    return rows


def _running(name: str, numbers: Sequence[int], messages: int = 2) -> list[Row]:
    """Unrelated records, numbered."""
    return [
        _row(name, n, [f"message {m} of the chat {name} number {n}" for m in range(messages)])
        for n in numbers
    ]


def _assemble(folder: Path, rows: Sequence[Row], **ingest: object) -> FakeWork:
    exact = {"similarity": None, "benchmark": None}
    recipe = minimal_recipe(
        "unused", ingest={"sources": ["a.json"], "near_duplicates": exact, **ingest}
    )
    plan = ShardPlan(0, (Slice("records", "test", 0, 0, len(rows)),))
    work = FakeWork(recipe, folder, plan=plan, rows=rows)
    AssembleStage(_English).process(work)
    work.assert_accounts_close()
    return work


REAL = [*_session("a", (0, 8, 14), 20), *_session("b", (0, 6), 12), *_session("c", (0,), 4)]


def _are_all_sessions(work: FakeWork, rows: int) -> bool:
    groups = {row["group"] for row in work.emitted}
    return len(groups) == rows and all(row["opens_session"] for row in work.emitted)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("messages", [2, 4])
@pytest.mark.parametrize("name", ["identity", "a-b_c", "2023_run", "名"])
def test_running_numbers_are_sessions_of_their_own_whatever_their_step(
    tmp_path: Path, name: str, step: int, messages: int
) -> None:
    rows = _running(name, range(0, 40 * step, step), messages)
    work = _assemble(tmp_path, rows)
    assert _are_all_sessions(work, 40)
    assert work.metrics["joined"]["sessions"] == 0
    assert work.metrics["numbered_records"] == {"chats": 40}
    [warning] = work.warnings
    assert "running numbers" in warning
    assert f"{name}_0" in warning


def test_running_numbers_beside_real_parts_are_told_from_them(tmp_path: Path) -> None:
    rows = [*REAL, *_running("identity", range(80)), *_running("even", range(0, 160, 2))]
    work = _assemble(tmp_path, rows)
    assert len(work.emitted) == 3 + 160
    assert work.metrics["joined"] == {"sessions": 2, "records": 5, "repeats": 3}
    assert {row["group"] for row in work.emitted} >= {"a", "b", "c", "identity_79", "even_4"}
    assert all(row["opens_session"] for row in work.emitted)
    why = [line for one in work.metrics["joined_examples"] for line in one["why"]]
    assert "a_7 repeats the end of the part before, and goes on" in why


def test_parts_that_only_go_on_are_joined(tmp_path: Path) -> None:
    rows = [*_session("a", (0, 8, 14), 20, repeats=False), *_session("b", (0, 4), 8, repeats=False)]
    work = _assemble(tmp_path, rows)
    assert [row["n_turns"] for row in work.emitted] == [10, 4]
    assert work.metrics["joined"] == {"sessions": 2, "records": 5, "follows": 3}
    assert work.warnings == []


def test_a_copied_file_of_running_numbers_is_no_proof_of_parts(tmp_path: Path) -> None:
    rows = _running("chat", range(0, 80, 2))
    copies = [row | {"id": row["id"] + "#copy"} for row in rows]
    work = _assemble(tmp_path, [*rows, *copies])
    assert len(work.emitted) == 40
    assert work.metrics["joined"]["sessions"] == 0


def test_what_another_part_holds_is_not_added_to_it(tmp_path: Path) -> None:
    rows = [_row("x", n, ["Who are you?", "I am Ada.", f"And {n}?", f"{n}."]) for n in (0, 4, 8)]
    assert _are_all_sessions(_assemble(tmp_path, rows), 3)


def test_a_speaker_twice_in_a_row_is_no_seam(tmp_path: Path) -> None:
    rows = [*REAL, _row("d", 0, ["q0", "a1", "q2"]), _row("d", 3, ["q3", "a4"])]
    work = _assemble(tmp_path, rows)
    assert [row["source_ids"] for row in work.emitted if row["group"] == "d"] == [
        ["f:d_0"],
        ["f:d_3"],
    ]


def test_a_later_part_alone_opens_nothing_where_the_source_numbers_messages(tmp_path: Path) -> None:
    lone = _row("d", 12, ["And then?", "That was all."])
    opens = {
        row["group"]: row["opens_session"] for row in _assemble(tmp_path, [*REAL, lone]).emitted
    }
    assert not opens["d"]
    assert _are_all_sessions(_assemble(tmp_path, [lone]), 1)


def test_more_records_of_one_id_than_a_session_has_parts_are_numbered(tmp_path: Path) -> None:
    rows = _running("chat", range(0, 4 * (MOST_PARTS + 1), 4), 4)
    work = _assemble(tmp_path, rows)
    assert len(work.emitted) == MOST_PARTS + 1
    assert work.metrics["numbered_records"] == {"chats": MOST_PARTS + 1}


@settings(max_examples=80, deadline=None)
@given(
    cuts=st.lists(st.integers(2, 29), max_size=5, unique=True),
    seed=st.integers(0, 3),
)
def test_a_session_cut_anywhere_comes_back_whole_in_whatever_order_its_parts_come(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], seed: int
) -> None:
    rows = [*_session("s", (0, *sorted(cuts)), 30), *_running("n", range(6))]
    rows = random.Random(seed).sample(rows, len(rows))
    work = _assemble(tmp_path_factory.mktemp("cut"), rows)
    [whole] = [row for row in work.emitted if row["group"] == "s"]
    texts = [message["content"] for message in whole["messages"]]
    assert texts == [f"message {n} of the session s" for n in range(30)]
    assert len(work.emitted) == 7
