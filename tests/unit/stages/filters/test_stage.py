"""A failing query ends its session; what is left is kept or rejected, and the accounts close."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.errors import UserError
from parrot_core.lake.reviews import Reviews
from parrot_core.lake.stage_plan import ShardPlan, Slice
from parrot_core.lake.storage import Storage
from parrot_core.schemas import PARROT
from parrot_core.stages.base import Row
from parrot_core.stages.filters.stage import FilterStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.stage_work import FakeWork

GOOD = ["How high is Mont Blanc?", "Who climbed it for the first time?", "What did they wear then?"]


def _dialogue(number: int, queries: list[str]) -> Row:
    messages = [
        {"role": role, "content": text}
        for query in queries
        for role, text in (("user", query), ("assistant", "Well."))
    ]
    entry: dict[str, Any] = dict.fromkeys(
        ("engine", "model", "request_key", "finish_reason", "prompt_tokens", "completion_tokens")
    )
    return {
        "id": f"d{number}",
        "source_ids": [f"s{number}"],
        "language": "en",
        "messages": messages,
        "provenance": [entry for _ in messages],
        "thinking": [None for _ in messages],
        "n_turns": len(queries),
        "end_reason": "max_turns",
    }


def _filter(folder: Path, dialogues: list[Row], **options: Any) -> FakeWork:
    plan = ShardPlan(0, (Slice("dialogues", "test", 0, 0, len(dialogues)),))
    work = FakeWork(minimal_recipe("unused", filter=options), folder, plan=plan, rows=dialogues)
    FilterStage().process(work)
    work.assert_accounts_close()
    return work


def test_a_clean_session_passes_whole(tmp_path: Path) -> None:
    row = _dialogue(0, GOOD)
    work = _filter(tmp_path, [row])
    assert work.emitted == [{**row, "source_ids": ["d0"]}]
    assert work.metrics == {"truncated_by_rule": {}, "turns_in": 3, "turns_out": 3}


def test_a_session_ends_before_the_query_that_fails(tmp_path: Path) -> None:
    work = _filter(tmp_path, [_dialogue(0, [*GOOD[:2], "?", GOOD[2]])])
    [row] = work.emitted
    assert [m["content"] for m in row["messages"][::2]] == GOOD[:2]
    assert (row["n_turns"], len(row["provenance"])) == (2, 4)
    assert row["end_reason"] == "filter:malformed"
    assert work.metrics["truncated_by_rule"] == {"malformed": 1}
    pa.Table.from_pylist(work.emitted, schema=PARROT.arrow)


def test_a_system_prompt_is_no_turn_and_stays_where_it_is(tmp_path: Path) -> None:
    system = {"role": "system", "content": "Be brief. How high is Mont Blanc?"}
    row = _dialogue(0, [*GOOD[:2], "?", GOOD[2]])
    told = {
        **row,
        "messages": [system, *row["messages"]],
        "provenance": [{}, *row["provenance"]],
        "thinking": [None, *row["thinking"]],
    }
    plain, work = _filter(tmp_path, [row]), _filter(tmp_path, [told])
    [without], [kept] = plain.emitted, work.emitted
    assert kept["messages"] == [system, *without["messages"]]
    assert [len(kept[name]) for name in ("messages", "provenance", "thinking")] == [5, 5, 5]
    assert (kept["n_turns"], kept["end_reason"]) == (2, "filter:malformed")
    assert work.metrics == plain.metrics


def test_too_little_left_is_rejected_for_the_rule_with_its_original(tmp_path: Path) -> None:
    row = _dialogue(0, [GOOD[0], "no", *GOOD[1:]])
    work = _filter(tmp_path, [row])
    assert work.rejected == [
        {
            "id": "d0",
            "source_ids": ["d0"],
            "reason": "short",
            "original": row,
            "detail": "turn 2: 2 of 4 characters",
        }
    ]


def test_a_session_that_was_too_short_from_the_start_says_so(tmp_path: Path) -> None:
    work = _filter(tmp_path, [_dialogue(0, GOOD[:1])])
    assert [(row["reason"], row["detail"]) for row in work.rejected] == [
        ("too_few_turns", "1 turns")
    ]


@settings(max_examples=60)
@given(
    dialogues=st.lists(
        st.lists(st.sampled_from([*GOOD, "?", "no", "User: hi there"]), max_size=5), max_size=6
    ),
    min_turns=st.integers(1, 4),
)
def test_accounts_close_and_no_kept_query_fails(
    tmp_path_factory: pytest.TempPathFactory, dialogues: list[list[str]], min_turns: int
) -> None:
    rows = [_dialogue(number, queries) for number, queries in enumerate(dialogues)]
    work = _filter(tmp_path_factory.mktemp("any"), rows, min_turns=min_turns)
    for row in work.emitted:
        queries = [m["content"] for m in row["messages"][::2]]
        assert len(queries) == row["n_turns"] >= min_turns
        assert set(queries) <= set(GOOD)
        assert queries.count(GOOD[0]) <= 1


def test_sessions_that_reviewers_flagged_are_rejected_whole(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "lake"))
    reviews = Reviews(storage, "dialogues", "demo")
    reviews.mark("d2", "flag", datetime(2026, 11, 22, tzinfo=UTC), "ada")
    reviews.export("odd", datetime(2026, 11, 22, tzinfo=UTC))
    work = _filter(tmp_path, [_dialogue(1, GOOD), _dialogue(2, GOOD)], flagged="odd")
    assert [row["id"] for row in work.emitted] == ["d1"]
    assert [(r["id"], r["reason"]) for r in work.rejected] == [("d2", "flagged")]


def test_a_recipe_that_names_no_export_that_is_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no export .* 'gone'"):
        _filter(tmp_path, [_dialogue(1, GOOD)], flagged="gone")
