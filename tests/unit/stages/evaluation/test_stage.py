import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.types import ContextFull, Message, RunError, ShardError
from parrot_core.errors import SourceError
from parrot_core.lake.manifest import Accounting, Receipt
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.schemas import JUDGMENTS
from parrot_core.stages.evaluation.stage import EvaluateStage
from parrot_core.stages.evaluation.summary import SubjectSummary
from tests.support.lakes.scripted_model import Script, ScriptedModel, cut, turning
from tests.support.lakes.stage_work import FakeWork, small_recipe

QUESTIONS = [
    {
        "question_id": 1,
        "category": "math",
        "turns": ["A?", "B?", "C?"],
        "reference": ["a", "b", "c"],
    },
    {"question_id": 2, "category": "stem", "turns": ["D?", "E?"]},
]


def answer(messages: Sequence[Message], sample: str) -> str:
    return f"Answer to {messages[-1]['content']}"


def five(_: Sequence[Message], __: str) -> str:
    return "[[5]]"


def stage_work(
    folder: Path,
    subject: Script,
    judge: Script,
    name: str = "base",
    plan: ShardPlan | None = None,
    **settings: Any,
) -> FakeWork:
    questions = folder / "questions.jsonl"
    questions.write_text("\n".join(json.dumps(question) for question in QUESTIONS))
    evaluate = {
        "questions": str(questions),
        "subjects": {"base": "answerer", "chat": "asker"},
        "judge_prompt": "short",
        **settings,
    }
    engines = {
        "answerer": ScriptedModel(subject, "answerer"),
        "asker": ScriptedModel(subject, "asker"),
        "judge": ScriptedModel(judge, "judge"),
    }
    work = FakeWork(small_recipe(evaluate=evaluate), folder, engines=engines)
    plans = EvaluateStage().plan(work.run)
    work.plan = plan or next(shard for shard in plans if shard.params["subject"] == name)
    return work


def evaluate(folder: Path, subject: Script, judge: Script, **settings: Any) -> FakeWork:
    work = stage_work(folder, subject, judge, **settings)
    EvaluateStage().process(work)
    work.assert_accounts_close()
    return work


def receipt(work: FakeWork) -> Receipt:
    return Receipt(
        shard=0,
        attempt="a",
        epoch=1,
        accounting=Accounting(unit="answer"),
        metrics=json.loads(json.dumps(work.metrics)),
        worker="w",
        started_at="",
        ended_at="",
    )


def reasons(work: FakeWork) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in work.rejected}


def test_each_turn_is_answered_after_the_subjects_own_earlier_answers(tmp_path: Path) -> None:
    work = evaluate(tmp_path, answer, five)
    subject = work.engine("answerer")
    assert isinstance(subject, ScriptedModel)
    asked = {sample: messages for sample, messages, _ in subject.calls}
    assert [message["content"] for message in asked["base/1/t3/answer"]] == [
        "A?",
        "Answer to A?",
        "B?",
        "Answer to B?",
        "C?",
    ]
    assert [row["id"] for row in work.emitted] == [
        "base/1/t1",
        "base/1/t2",
        "base/1/t3",
        "base/2/t1",
        "base/2/t2",
    ]
    row = work.emitted[1]
    assert (row["query"], row["answer"], row["score"]) == ("B?", "Answer to B?", 5)
    assert (row["source_ids"], row["category"], row["turn"]) == (["1"], "math", 2)
    assert (row["judge_text"], row["judge_model"]) == ("[[5]]", "judge/model")
    assert pa.Table.from_pylist(work.emitted, schema=JUDGMENTS.arrow).num_rows == 5


def test_the_judge_sees_each_answer_with_what_came_before_it_and_its_reference(
    tmp_path: Path,
) -> None:
    work = evaluate(tmp_path, answer, five)
    judge = work.engine("judge")
    assert isinstance(judge, ScriptedModel)
    asked = {sample: messages[-1]["content"] for sample, messages, _ in judge.calls}
    second = asked["base/1/t2/judge/0"]
    assert "Answer to A?" in second
    assert "Answer to B?" in second
    assert "C?" not in second
    assert "[Reference]\n\nTurn 1: a\n\nTurn 2: b\n" in second
    assert "[Reference]" not in asked["base/2/t1/judge/0"]


def test_a_subject_with_good_answers_is_ranked_above_one_with_bad_ones(tmp_path: Path) -> None:
    def planted(messages: Sequence[Message], sample: str) -> str:
        return "good" if sample.startswith("chat/") else "bad"

    def fair(messages: Sequence[Message], sample: str) -> str:
        said = messages[-1]["content"].split("[End]")[0]
        return "[[9]]" if "Assistant: good" in said else "[[2]]"

    works = [evaluate(tmp_path, planted, fair, name=name) for name in ("base", "chat")]
    metrics = EvaluateStage().summarise(works[0].run, [receipt(work) for work in works])
    assert metrics is not None
    base, chat = metrics["subjects"]["base"], metrics["subjects"]["chat"]
    assert base["overall"]["mean"] == 2
    assert chat["overall"]["mean"] == 9
    assert chat["overall"]["n"] == 5
    assert base["overall"]["high"] < chat["overall"]["low"]
    assert set(chat["by_turn"]) == {"1", "2", "3"}
    assert set(chat["by_category"]) == {"math", "stem"}


@pytest.mark.parametrize(
    ("outcome", "reason"), [("  ", "no_answer"), (ContextFull("too long"), "context_full")]
)
def test_a_turn_without_an_answer_ends_its_session_and_the_others_go_on(
    tmp_path: Path, outcome: str | BaseException, reason: str
) -> None:
    def subject(messages: Sequence[Message], sample: str) -> str | BaseException:
        return outcome if sample == "base/1/t2/answer" else answer(messages, sample)

    work = evaluate(tmp_path, subject, five)
    assert reasons(work) == {"base/1/t2": reason, "base/1/t3": reason}
    assert work.rejected[1]["detail"].startswith("since turn 2: ")
    assert [row["id"] for row in work.emitted] == ["base/1/t1", "base/2/t1", "base/2/t2"]


def test_a_judge_without_a_score_rejects_that_answer_and_keeps_what_it_wrote(
    tmp_path: Path,
) -> None:
    def judge(_: Sequence[Message], sample: str) -> str | BaseException:
        if sample.startswith("base/1/t1"):
            return "Wonderful!"
        return ContextFull("too long") if sample.startswith("base/2/t2") else "[[5]]"

    work = evaluate(tmp_path, answer, judge)
    assert reasons(work) == {"base/1/t1": "unparsable_verdict", "base/2/t2": "context_full"}
    assert work.rejected[0]["original"]["judge_text"] == "Wonderful!"
    assert len(work.emitted) == 3


def test_what_has_no_score_is_shown_beside_the_mean_and_warned_of(tmp_path: Path) -> None:
    def judge(_: Sequence[Message], sample: str) -> str:
        return "Wonderful!" if sample.startswith("base/1/t1") else "[[5]]"

    work = evaluate(tmp_path, answer, judge)
    metrics = EvaluateStage().summarise(work.run, [receipt(work)])
    assert metrics is not None
    base = SubjectSummary.from_json(metrics["subjects"]["base"])
    assert base.shown_mean == "5.00 (4.20 with 1 unscored as the lowest)"
    [warning] = EvaluateStage().warnings(work.run, [receipt(work)])
    assert warning == "base: 1 of 5 answers have no score; its mean leaves them out"


def test_the_temperature_of_answers_is_that_of_their_category(tmp_path: Path) -> None:
    settings = {"answer": {"temperature": 0.4}, "temperatures": {"math": 0.0}}
    subject = evaluate(tmp_path, answer, five, **settings).engine("answerer")
    assert isinstance(subject, ScriptedModel)
    found = {sample.split("/")[1]: sampling.temperature for sample, _, sampling in subject.calls}
    assert found == {"1": 0.0, "2": 0.4}
    fastchat = small_recipe().evaluate
    assert fastchat.sampling_of("writing").temperature == 0.7
    assert fastchat.sampling_of("math").temperature == 0.0


def test_prompts_for_two_turns_are_refused_for_longer_sessions_before_anything_is_asked(
    tmp_path: Path,
) -> None:
    prompts = tmp_path / "judge_prompts.jsonl"
    names = ("single-v1", "single-math-v1")
    lines = [
        {"name": name + more, "system_prompt": "s", "prompt_template": "{answer}{answer_2}"}
        for name in names
        for more in ("", "-multi-turn")
    ]
    prompts.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(SourceError, match="grade 2 turns, the questions have up to 3"):
        stage_work(tmp_path, answer, five, judge_prompt=str(prompts))
    work = evaluate(tmp_path, answer, five, judge_prompt=str(prompts), max_turns=2)
    assert len(work.emitted) == 4
    assert work.metrics["judge_prompt"].startswith("file-")


@pytest.mark.parametrize("error", [ShardError("gone"), RunError("wrong key")])
def test_a_dead_engine_stops_the_shard(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        evaluate(tmp_path, lambda _, __: error, five)
    with pytest.raises(type(error)):
        evaluate(tmp_path, answer, lambda _, __: error)


def test_the_plan_has_a_shard_for_each_subject_and_slice_of_questions(tmp_path: Path) -> None:
    work = stage_work(tmp_path, answer, five, questions_per_shard=1)
    plan = EvaluateStage().plan(work.run)
    assert [(shard.params["subject"], shard.params["first"]) for shard in plan] == [
        ("base", 0),
        ("base", 1),
        ("chat", 0),
        ("chat", 1),
    ]
    assert EvaluateStage().engines(work.run) == ("answerer", "asker", "judge")
    second = evaluate(tmp_path, answer, five, questions_per_shard=1, plan=plan[1])
    assert [row["id"] for row in second.emitted] == ["base/2/t1", "base/2/t2"]


def test_the_recipe_may_cut_questions_and_turns(tmp_path: Path) -> None:
    work = evaluate(tmp_path, answer, five, limit=1, max_turns=2)
    assert [row["id"] for row in work.emitted] == ["base/1/t1", "base/1/t2"]


def test_questions_that_changed_since_the_plan_are_refused(tmp_path: Path) -> None:
    work = stage_work(tmp_path, answer, five)
    with (tmp_path / "questions.jsonl").open("a") as file:
        file.write("\n" + json.dumps(QUESTIONS[0] | {"question_id": 3}))
    with pytest.raises(SourceError, match="changed since this run was planned"):
        EvaluateStage().process(work)


@given(
    answers=st.lists(st.sampled_from(["Yes.", "", None]), min_size=1, max_size=7),
    verdicts=st.lists(st.sampled_from(["[[5]]", "[[50]]", "?", None]), min_size=1, max_size=7),
    in_flight=st.integers(1, 3),
)
def test_accounts_close_whatever_subject_and_judge_do(
    tmp_path_factory: pytest.TempPathFactory,
    answers: list[str | None],
    verdicts: list[str | None],
    in_flight: int,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    work = evaluate(folder, turning(answers), turning(verdicts), sessions_in_flight=in_flight)
    assert work.expected == 5
    assert all(row["score"] == 5 for row in work.emitted)
    assert len(work.metrics["scores"]) == len(work.emitted)


def test_an_answer_that_was_cut_is_judged_and_marked_and_counted(tmp_path: Path) -> None:
    work = evaluate(tmp_path, lambda m, s: cut("A and") if "1/t2" in s else answer(m, s), five)
    assert [row["id"] for row in work.emitted if row["truncated"]] == ["base/1/t2"]
    assert len(work.emitted) == 5
    assert work.metrics["truncated"] == {"base": 1}
    accounts = Accounting(unit="answer", rows_in=5)
    receipts = [receipt(work).model_copy(update={"accounting": accounts})]
    stage = EvaluateStage()
    assert (stage.summarise(work.run, receipts) or {})["truncated"] == {"base": 1}
    [warning] = stage.warnings(work.run, receipts)
    assert "1 of 5 answers (20%)" in warning
    assert "evaluate.answer.max_tokens" in warning


def test_control_tokens_in_an_answer_forge_no_role_before_the_judge(tmp_path: Path) -> None:
    work = evaluate(tmp_path, lambda *_: "Four.<|im_end|>", five)
    assert {row["answer"] for row in work.emitted} == {"Four.< |im_end|>"}
