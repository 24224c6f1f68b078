from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.types import KeyRefused, Message, ShardError
from parrot_core.lake.lake import Lake
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.stages.base import Row
from parrot_core.stages.capo.select import SelectStage, follow_ups_of, share_out
from tests.support.lakes.run_state import publish
from tests.support.lakes.scripted_model import Script, ScriptedModel, turning
from tests.support.lakes.stage_work import FakeWork, small_recipe

FOLLOW_UPS = [
    "How tall is it?",
    "What is the capital of France?",
    "And in winter?",
    "Make it shorter",
    "Why?",
]


def session(name: str, queries: Sequence[str]) -> Row:
    messages: list[Message] = []
    for query in ["Tell me about the Eiffel Tower.", *queries]:
        messages.append({"role": "user", "content": query})
        messages.append({"role": "assistant", "content": f"Answer to {query}"})
    return {
        "id": name,
        "source_ids": [f"seed of {name}"],
        "language": "en",
        "messages": messages,
        "n_turns": len(messages) // 2,
    }


def select(
    folder: Path,
    script: Script | None,
    rows: Sequence[Row],
    quota: int = 100,
    **settings: Any,
) -> tuple[FakeWork, ScriptedModel]:
    judge = ScriptedModel(script or (lambda _, __: "YES"), "judge")
    recipe = small_recipe(
        select={"judge": "judge" if script else None, "proof_queries": 0, **settings}
    )
    work = FakeWork(
        recipe,
        folder,
        plan=ShardPlan(0, params={"quota": quota}),
        rows=rows,
        engines={"judge": judge},
    )
    SelectStage().process(work)
    work.assert_accounts_close()
    return work, judge


def reasons(work: FakeWork) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in work.rejected}


def test_queries_with_a_cue_are_kept_with_their_history_and_answer(tmp_path: Path) -> None:
    work, judge = select(tmp_path, None, [session("s", FOLLOW_UPS[:2])])
    assert work.expected == 2
    assert reasons(work) == {"s/t3": "self_contained"}
    [row] = work.emitted
    assert row["id"] == "s/t2"
    assert row["source_ids"] == ["s"]
    assert row["turn"] == 2
    assert [message["content"] for message in row["history"]] == [
        "Tell me about the Eiffel Tower.",
        "Answer to Tell me about the Eiffel Tower.",
    ]
    assert (row["query"], row["response"]) == ("How tall is it?", "Answer to How tall is it?")
    assert (row["rule"], row["judge_verdict"], row["judge_text"]) == ("pronoun", None, None)
    assert judge.calls == []


def test_the_judges_no_rejects_and_its_words_are_kept_either_way(tmp_path: Path) -> None:
    def script(messages: Sequence[Message], sample: str) -> str:
        return "No, it stands alone." if sample.startswith("s/t4") else "YES"

    work, _ = select(tmp_path, script, [session("s", FOLLOW_UPS)])
    assert reasons(work) == {"s/t3": "self_contained", "s/t4": "judge_disagreed"}
    assert "No, it stands alone." in work.rejected[-1]["detail"]
    assert {(row["judge_verdict"], row["judge_text"]) for row in work.emitted} == {(True, "YES")}
    assert work.metrics["judge"] == {"yes": 3, "no": 1}


def test_a_query_is_never_kept_on_a_verdict_that_cannot_be_read(tmp_path: Path) -> None:
    work, judge = select(tmp_path, lambda _, __: "Hm", [session("s", ["Why?"])])
    assert work.emitted == []
    assert reasons(work) == {"s/t2": "unparsable_verdict"}
    assert "Hm" in work.rejected[0]["detail"]
    assert judge.samples == ["s/t2/depends/0", "s/t2/depends/1"]
    assert work.metrics["judge"] == {"unreadable": 1}


def test_fewer_queries_than_the_recipe_asked_for_are_warned_of(tmp_path: Path) -> None:
    work, _ = select(tmp_path, None, [session("s", ["Why?"])], limit=9)
    receipt = work.receipt("query")
    accounts = receipt.accounting.model_copy(update={"rows_out": 1})
    [warning] = SelectStage().warnings(
        work.run, [receipt.model_copy(update={"accounting": accounts})]
    )
    assert warning == "1 context-dependent queries, fewer than the 9 of select.limit"


def test_how_the_answer_ended_goes_on_with_it(tmp_path: Path) -> None:
    row = session("s", ["Why?"])
    row["provenance"] = [{"finish_reason": reason} for reason in (None, "stop", "stop", "length")]
    work, _ = select(tmp_path, None, [row, session("t", ["Why?"])])
    assert [kept["response_finish_reason"] for kept in work.emitted] == ["length", None]


def test_the_limit_is_filled_by_seeded_choice_and_no_more_is_asked_than_needed(
    tmp_path: Path,
) -> None:
    rows = [session(f"s{number}", ["Why?"]) for number in range(40)]
    work, judge = select(tmp_path, lambda _, __: "YES", rows, quota=5)
    assert len(work.emitted) == 5
    assert len(judge.calls) == 5
    assert set(reasons(work).values()) == {"over_limit"}
    ids = [row["id"] for row in work.emitted]
    assert ids == sorted(ids, key=lambda name: int(name[1:-3]))  # in the order of the input
    assert ids != [f"s{number}/t2" for number in range(5)]  # but not its beginning
    again, _ = select(tmp_path, lambda _, __: "YES", rows, quota=5)
    assert again.emitted == work.emitted


def test_what_the_judge_refuses_is_made_up_for_by_other_candidates(tmp_path: Path) -> None:
    rows = [session(f"s{number}", ["Why?"]) for number in range(40)]

    def script(messages: Sequence[Message], sample: str) -> str:
        return "YES" if int(sample[1 : sample.index("/")]) % 2 else "NO"

    work, judge = select(tmp_path, script, rows, quota=8)
    assert len(work.emitted) == 8
    assert len(judge.calls) < 40


def test_an_early_query_is_not_taken_when_more_history_is_asked_for(tmp_path: Path) -> None:
    work, _ = select(tmp_path, None, [session("s", ["Why?", "Why?"])], min_history_turns=2)
    assert reasons(work) == {"s/t2": "too_few_turns"}


def test_a_dead_engine_stops_the_shard_and_nothing_is_emitted(tmp_path: Path) -> None:
    errors: list[BaseException] = [ShardError("gone"), KeyRefused("wrong key")]
    for error in errors:

        def script(_: Sequence[Message], __: str, error: BaseException = error) -> BaseException:
            return error

        with pytest.raises(type(error)):
            select(tmp_path, script, [session("s", FOLLOW_UPS)])


@given(
    replies=st.lists(st.sampled_from(["YES", "NO", "?", "", None]), min_size=1, max_size=8),
    quota=st.integers(0, 12),
    sessions=st.lists(st.lists(st.sampled_from(FOLLOW_UPS), max_size=4).map(tuple), max_size=5),
)
def test_accounts_close_whatever_the_judge_says(
    tmp_path_factory: pytest.TempPathFactory,
    replies: list[str | None],
    quota: int,
    sessions: list[tuple[str, ...]],
) -> None:
    rows = [session(f"s{number}", queries) for number, queries in enumerate(sessions)]
    work, _ = select(tmp_path_factory.getbasetemp(), turning(replies), rows, quota)
    assert work.expected == sum(len(queries) for queries in sessions)
    assert len(work.emitted) <= quota


@given(st.integers(0, 1000), st.lists(st.integers(0, 200), max_size=10))
def test_quotas_sum_to_the_limit_and_none_exceeds_what_its_shard_has(
    limit: int, weights: list[int]
) -> None:
    shares = share_out(limit, weights)
    assert sum(shares) == min(limit, sum(weights))
    assert all(0 <= share <= weight for share, weight in zip(shares, weights, strict=True))


def test_the_plan_shares_the_limit_out_over_the_shards(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    rows = [session(f"s{number}", ["Why?"] * number) for number in range(5)]
    rows = [{**row, "provenance": [], "end_reason": "max_turns"} for row in rows]
    publish(lake, "filter", rows, run="test")
    recipe = small_recipe(select={"limit": 5, "sessions_per_shard": 3})
    plan = SelectStage().plan(Run("test", recipe, lake, tmp_path))
    assert [shard.rows for shard in plan] == [3, 2]
    assert [shard.params["quota"] for shard in plan] == [2, 3]  # of 3 and 7 queries
    assert plan == SelectStage().plan(Run("test", recipe, lake, tmp_path))


def test_a_query_without_an_answer_and_a_system_message_are_no_turns() -> None:
    row = session("s", ["Why?"])
    system: Message = {"role": "system", "content": "Be brief."}
    row["messages"] = [system, *row["messages"], {"role": "user", "content": "And?"}]
    [unit] = follow_ups_of(row)
    assert (unit.turn, unit.query, len(unit.history)) == (2, "Why?", 3)
