import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.types import ContentFiltered, ContextFull, Message, RunError, ShardError
from parrot_core.lake.run import Run
from parrot_core.schemas import PREFERENCES
from parrot_core.stages.base import Row
from parrot_core.stages.capo.stage import CapoStage
from tests.support.lakes.scripted_model import Script, ScriptedModel, cut, turning
from tests.support.lakes.stage_work import FakeWork, small_recipe

HISTORY: list[Message] = [
    {"role": "user", "content": "What is the Eiffel Tower?"},
    {"role": "assistant", "content": "An iron tower in Paris. Cats like warm milk a lot."},
]
STRATEGIES = ["neglect", "hallucination", "misunderstanding"]


def query(name: str = "s/t2", response: str = "It is 330 metres tall.") -> Row:
    return {
        "id": name,
        "source_ids": ["s"],
        "language": "en",
        "turn": 2,
        "history": HISTORY,
        "query": "How tall is it?",
        "response": response,
        "response_finish_reason": "stop",
        "rule": "pronoun",
        "judge_verdict": None,
        "judge_text": None,
    }


def write(_: Sequence[Message], sample: str) -> str:
    if sample.endswith("/pick"):
        return "2"
    return "a giraffe" if "/guess/" in sample else f"Wrong answer: {sample}"


def pair(
    folder: Path, script: Script, rows: Sequence[Row], **settings: Any
) -> tuple[FakeWork, ScriptedModel]:
    writer = ScriptedModel(script, "answerer")
    work = FakeWork(small_recipe(capo=settings), folder, rows=rows, engines={"answerer": writer})
    CapoStage().process(work)
    work.assert_accounts_close()
    return work, writer


def test_each_query_gives_a_pair_for_each_strategy_in_trls_layout(tmp_path: Path) -> None:
    work, _ = pair(tmp_path, write, [query()])
    assert [row["id"] for row in work.emitted] == [f"s/t2:{name}" for name in STRATEGIES]
    for row, strategy in zip(work.emitted, STRATEGIES, strict=True):
        assert row["strategy"] == strategy
        assert row["source_ids"] == ["s/t2"]
        assert row["prompt"] == [*HISTORY, {"role": "user", "content": "How tall is it?"}]
        assert row["chosen"] == [{"role": "assistant", "content": "It is 330 metres tall."}]
        rejected = f"Wrong answer: s/t2/{strategy}/answer"
        assert row["rejected"] == [{"role": "assistant", "content": rejected}]
        assert row["request_key"] == f"key of s/t2/{strategy}/answer"
        assert row["model"] == "answerer/model"
        assert row["prompt_set"].startswith("capo-en-")
    assert [row["evidence"] for row in work.emitted] == [
        None,
        "a giraffe",
        "Cats like warm milk a lot.",
    ]
    assert {row["rejected_finish_reason"] for row in work.emitted} == {"stop"}
    assert pa.Table.from_pylist(work.emitted, schema=PREFERENCES.arrow).num_rows == 3


@pytest.mark.parametrize(
    "changed",
    [{"response_finish_reason": "length"}, {"response": "What do you mean by that?"}],
)
def test_a_chosen_answer_that_is_cut_or_asks_back_makes_no_pair(
    tmp_path: Path, changed: Row
) -> None:
    work, writer = pair(tmp_path, write, [query() | changed])
    assert work.emitted == writer.calls == []
    assert {row["reason"] for row in work.rejected} == {"chosen_unusable"}


def test_a_negative_that_asks_back_is_refused_and_its_share_is_in_the_manifest(
    tmp_path: Path,
) -> None:
    work, _ = pair(tmp_path, lambda *_: "What do you mean?", [query()], strategies=["neglect"])
    assert [row["reason"] for row in work.rejected] == ["negative_asks_back"]
    metrics = CapoStage().summarise(work.run, [work.receipt("pair")])
    assert metrics is not None
    assert metrics["shares"]["asked_back"] == {"neglect": 1.0}


def test_how_long_both_sides_are_is_in_the_manifest(tmp_path: Path) -> None:
    work, _ = pair(tmp_path, lambda *_: "One two.", [query()], strategies=["neglect"])
    metrics = CapoStage().summarise(work.run, [work.receipt("pair")])
    assert metrics is not None
    assert metrics["words"] == {"chosen": {"neglect": 5.0}, "rejected": {"neglect": 2.0}}
    assert metrics["chosen_longer"] == {"neglect": 1.0}


@pytest.mark.parametrize(
    ("rewritten", "oracle", "reason"),
    [
        ("How tall is it?", "", "not_dependent"),
        ("How tall is the Eiffel Tower?", "Blue cheese.", "chosen_unconfirmed"),
        ("How tall is the Eiffel Tower?", "It has 330 metres.", None),
    ],
)
def test_the_oracle_checks_that_a_query_depends_and_that_its_answer_is_confirmed(
    tmp_path: Path, rewritten: str, oracle: str, reason: str | None
) -> None:
    def script(messages: Sequence[Message], sample: str) -> str:
        if sample.endswith("/rewrite"):
            return rewritten
        return oracle if sample.endswith("/oracle") else write(messages, sample)

    work, _ = pair(tmp_path, script, [query()], strategies=["neglect"], oracle=True)
    assert [row["reason"] for row in work.rejected] == ([reason] if reason else [])


def test_only_the_recipes_strategies_are_made(tmp_path: Path) -> None:
    work, writer = pair(tmp_path, write, [query()], strategies=["neglect"])
    assert work.expected == len(work.emitted) == 1
    assert writer.samples == ["s/t2/neglect/answer"]


@pytest.mark.parametrize(
    ("negative", "reason"),
    [
        ("", "negative_empty"),
        ("it is 330 METRES tall", "negative_equals_chosen"),
        (ContextFull("too long"), "context_full"),
        (ContentFiltered("not this"), "content_filter"),
    ],
)
def test_what_goes_wrong_with_one_strategy_rejects_that_pair_alone(
    tmp_path: Path, negative: str | BaseException, reason: str
) -> None:
    def script(messages: Sequence[Message], sample: str) -> str | BaseException:
        return negative if sample.endswith("neglect/answer") else write(messages, sample)

    work, _ = pair(tmp_path, script, [query()])
    assert [(row["id"], row["reason"]) for row in work.rejected] == [("s/t2:neglect", reason)]
    assert [row["strategy"] for row in work.emitted] == STRATEGIES[1:]
    assert work.metrics["rejected"]["neglect"] == {reason: 1}


def test_nothing_is_bought_for_a_chosen_answer_that_is_unusable(tmp_path: Path) -> None:
    work, writer = pair(tmp_path, write, [query(response="I'm sorry, but I can't help with that.")])
    assert writer.calls == []
    assert {row["reason"] for row in work.rejected} == {"chosen_unusable"}
    assert len(work.rejected) == 3


@pytest.mark.parametrize("error", [ShardError("engine gone"), RunError("wrong key")])
def test_a_dead_engine_and_a_refused_key_stop_the_shard(
    tmp_path: Path, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        pair(tmp_path, lambda _, __: error, [query()])


def test_queries_are_in_flight_together_but_no_more_than_the_recipe_says(tmp_path: Path) -> None:
    running: set[str] = set()
    peak = 0

    class Slow(ScriptedModel):
        async def complete(self, messages: Any, sampling: Any, *, sample: str) -> Any:
            nonlocal peak
            running.add(sample)
            peak = max(peak, len(running))
            await asyncio.sleep(0)
            running.discard(sample)
            return await super().complete(messages, sampling, sample=sample)

    work = FakeWork(
        small_recipe(capo={"queries_in_flight": 3}),
        tmp_path,
        rows=[query(f"s{number}/t2") for number in range(9)],
        engines={"answerer": Slow(write)},
    )
    CapoStage().process(work)
    assert peak == 3
    assert [row["id"] for row in work.emitted][:3] == [f"s0/t2:{name}" for name in STRATEGIES]


@given(
    replies=st.lists(
        st.sampled_from(["", "1", "It is 330 metres tall.", "Other.", None]), min_size=1, max_size=7
    ),
    responses=st.lists(st.sampled_from(["It is 330 metres tall.", ""]), max_size=4),
)
def test_accounts_close_whatever_the_writer_does(
    tmp_path_factory: pytest.TempPathFactory, replies: list[str | None], responses: list[str]
) -> None:
    rows = [query(f"s{number}/t2", response) for number, response in enumerate(responses)]
    work, _ = pair(tmp_path_factory.getbasetemp(), turning(replies), rows)
    assert work.expected == 3 * len(responses)
    for row in work.emitted:
        assert row["rejected"][0]["content"] not in ("", row["chosen"][0]["content"])


def test_the_version_says_the_yield_of_each_strategy(tmp_path: Path) -> None:
    def script(messages: Sequence[Message], sample: str) -> str:
        return "" if sample.endswith("s0/t2/neglect/answer") else write(messages, sample)

    work, _ = pair(tmp_path, script, [query("s0/t2"), query("s1/t2")])
    receipt = work.receipt("pair")
    stage = CapoStage()
    metrics = stage.summarise(work.run, [receipt, receipt])
    assert metrics is not None
    assert metrics["asked"] == dict.fromkeys(STRATEGIES, 4)
    assert metrics["pairs"] == {"neglect": 2, "hallucination": 4, "misunderstanding": 4}
    assert metrics["yield"]["neglect"] == 0.5
    assert metrics["rejected"]["neglect"] == {"negative_empty": 2}
    empty = stage.summarise(Run("r", work.run.recipe, work.run.lake, tmp_path), [])
    assert empty is not None
    assert empty["yield"]["neglect"] is None


def judged(folder: Path, verdict: str) -> FakeWork:
    def script(messages: Sequence[Message], sample: str) -> str:
        return verdict

    work = FakeWork(
        small_recipe(capo={"strategies": ["neglect"], "judge": "judge"}),
        folder,
        rows=[query()],
        engines={
            "answerer": ScriptedModel(write, "answerer"),
            "judge": ScriptedModel(script, "judge"),
        },
    )
    assert tuple(CapoStage().engines(work.run)) == ("answerer", "judge")
    CapoStage().process(work)
    work.assert_accounts_close()
    return work


def test_a_negative_that_a_judge_finds_as_good_is_refused(tmp_path: Path) -> None:
    work = judged(tmp_path, "[[C]]")
    assert [row["reason"] for row in work.rejected] == ["negative_as_good"]
    assert work.metrics["rejected"] == {"neglect": {"negative_as_good": 1}}


def test_a_judge_that_cannot_be_read_refuses_the_pair(tmp_path: Path) -> None:
    assert [row["reason"] for row in judged(tmp_path, "yes").rejected] == ["unparsable_verdict"]


def test_what_the_judge_said_is_kept_with_the_pair(tmp_path: Path) -> None:
    def script(messages: Sequence[Message], sample: str) -> str:
        return "[[A]]" if "/ab/" in sample else "[[B]]"

    work = FakeWork(
        small_recipe(capo={"strategies": ["neglect"], "judge": "judge"}),
        tmp_path,
        rows=[query()],
        engines={
            "answerer": ScriptedModel(write, "answerer"),
            "judge": ScriptedModel(script, "judge"),
        },
    )
    CapoStage().process(work)
    assert [row["judge_texts"] for row in work.emitted] == [["[[A]]", "[[B]]"]]


def cut_answers(messages: Sequence[Message], sample: str) -> Any:
    text = write(messages, sample)
    return cut(text) if sample.endswith("neglect/answer") else text


def test_a_negative_that_was_cut_makes_no_pair_and_is_counted(tmp_path: Path) -> None:
    work, _ = pair(tmp_path, cut_answers, [query()])
    assert [row["strategy"] for row in work.emitted] == STRATEGIES[1:]
    [reject] = work.rejected
    assert (reject["reason"], reject["original"]["strategy"]) == ("truncated", "neglect")
    assert reject["original"]["rejected"].startswith("Wrong answer")
    assert work.metrics["truncated"]["neglect"] == 1
    receipt = work.receipt("pair")
    accounts = receipt.accounting.model_copy(update={"rows_in": 3})
    [warning] = CapoStage().warnings(
        work.run, [receipt.model_copy(update={"accounting": accounts})]
    )
    assert "1 of 3 pairs (33%)" in warning
    assert "capo.sampling.max_tokens" in warning


def test_a_recipe_may_keep_negatives_that_were_cut(tmp_path: Path) -> None:
    work, _ = pair(tmp_path, cut_answers, [query()], keep_truncated=True)
    assert len(work.emitted) == 3
    assert work.metrics["truncated"]["neglect"] == 1


def test_control_tokens_in_a_negative_are_defused(tmp_path: Path) -> None:
    work, _ = pair(tmp_path, lambda *_: "2 feet.<|im_end|>", [query()], strategies=["neglect"])
    assert work.emitted[0]["rejected"][0]["content"] == "2 feet.< |im_end|>"


def test_neglect_leaves_out_the_history_but_not_the_system_prompt(tmp_path: Path) -> None:
    system: Message = {"role": "system", "content": "Be brief."}
    row = {**query(), "history": [system, *HISTORY]}
    _, writer = pair(tmp_path, write, [row], strategies=["neglect"])
    assert writer.calls[0][1] == [system, {"role": "user", "content": "How tall is it?"}]
