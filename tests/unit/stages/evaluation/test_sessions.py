import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from parrot_core.engines.types import Message
from parrot_core.lake.manifest import Accounting, Receipt
from parrot_core.stages.evaluation.sessions import SINGLE_TURN, SessionFigures, session_figures
from parrot_core.stages.evaluation.stage import EvaluateStage
from parrot_core.stages.evaluation.summary import Judged
from tests.support.lakes.scripted_model import Script, ScriptedModel
from tests.support.lakes.stage_work import FakeWork, small_recipe

MT_EVAL = {
    "conv": [
        {"user": "Keep it short.", "sys": "OK", "id": "instruction", "do_inference": False},
        {"user": "A?", "sys": "given a", "id": "1"},
        {"user": "B?", "sys": "", "id": "2"},
    ],
    "id": "9",
}
SINGLE = [{"user": "Shortly: B?", "sys": "", "id": "9#2"}]


def echo(messages: Sequence[Message], sample: str) -> str:
    return f"Answer to {messages[-1]['content']}"


def five(_: Sequence[Message], __: str) -> str:
    return "[[5]]"


def sit(
    folder: Path, subject: Script, judge: Script, *records: object, **settings: Any
) -> tuple[FakeWork, list[FakeWork]]:
    """Work through all shards of an evaluation; the first work's engines serve them all."""
    file = folder / "q.jsonl"
    file.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    evaluate = {"questions": str(file), "subjects": {"chat": "answerer"}, "judge_prompt": "short"}
    engines = {
        "answerer": ScriptedModel(subject, "answerer"),
        "judge": ScriptedModel(judge, "judge"),
    }
    recipe = small_recipe(evaluate=evaluate | settings)
    stage = EvaluateStage()
    works = [
        FakeWork(recipe, folder, plan=plan, engines=engines)
        for plan in stage.plan(FakeWork(recipe, folder).run)
    ]
    for work in works:
        stage.process(work)
        work.assert_accounts_close()
    return works[0], works


def asked_of(work: FakeWork, engine: str) -> dict[str, list[str]]:
    model = work.engine(engine)
    assert isinstance(model, ScriptedModel)
    return {sample: [m["content"] for m in messages] for sample, messages, _ in model.calls}


def metrics_of(works: Sequence[FakeWork]) -> dict[str, Any]:
    receipts = [
        Receipt(
            shard=place,
            attempt="a",
            epoch=1,
            accounting=Accounting(unit="answer"),
            metrics=json.loads(json.dumps(work.metrics)),
            worker="w",
            started_at="",
            ended_at="",
        )
        for place, work in enumerate(works)
    ]
    found = EvaluateStage().summarise(works[0].run, receipts)
    assert found is not None
    return found


def test_a_turn_that_the_benchmark_answers_is_neither_asked_nor_scored(tmp_path: Path) -> None:
    work, _ = sit(tmp_path, echo, five, MT_EVAL)
    assert [row["id"] for row in work.emitted] == ["chat/9/t2", "chat/9/t3"]
    asked = asked_of(work, "answerer")
    assert asked["chat/9/t2/answer"] == ["Keep it short.", "OK", "A?"]
    assert asked["chat/9/t3/answer"][3] == "Answer to A?"


def test_given_answers_stand_before_later_turns_and_the_judge_still_sees_the_subjects(
    tmp_path: Path,
) -> None:
    work, _ = sit(tmp_path, echo, five, MT_EVAL, history="given")
    assert asked_of(work, "answerer")["chat/9/t3/answer"][3] == "given a"
    judged = asked_of(work, "judge")
    assert "Answer to A?" in judged["chat/9/t2/judge/0"][-1]
    assert "given a" in judged["chat/9/t3/judge/0"][-1]


def test_with_given_answers_a_failed_turn_does_not_end_the_session(tmp_path: Path) -> None:
    def silent_at_a(messages: Sequence[Message], sample: str) -> str:
        return "" if messages[-1]["content"] == "A?" else "yes"

    work, _ = sit(tmp_path, silent_at_a, five, MT_EVAL, history="given")
    assert [row["id"] for row in work.emitted] == ["chat/9/t3"]
    assert [row["id"] for row in work.rejected] == ["chat/9/t2"]


def test_each_repeat_is_a_session_of_its_own_and_the_best_and_worst_are_told(
    tmp_path: Path,
) -> None:
    def unsteady(messages: Sequence[Message], sample: str) -> str:
        return "good" if "/r2/" in sample else "bad"

    def fair(messages: Sequence[Message], sample: str) -> str:
        return "[[8]]" if "/r2/" in sample else "[[4]]"

    _, works = sit(tmp_path, unsteady, fair, MT_EVAL, repeats=2)
    ids = [row["id"] for work in works for row in work.emitted]
    assert ids == ["chat/9/t2", "chat/9/t3", "chat/9/t2/r2", "chat/9/t3/r2"]
    found = SessionFigures.from_json(metrics_of(works)["sessions"]["chat"])
    assert (found.repeats, found.mean.mean, found.best.mean, found.worst.mean) == (2, 6, 8, 4)
    assert (found.gap.mean, found.lowest_turn.mean, found.single_turn) == (4, 6, None)


def test_a_single_turn_control_is_paired_with_its_turn(tmp_path: Path) -> None:
    single = tmp_path / "single.jsonl"
    single.write_text(json.dumps(SINGLE), encoding="utf-8")

    def easier_alone(messages: Sequence[Message], sample: str) -> str:
        return "[[9]]" if SINGLE_TURN in sample else "[[6]]"

    work, works = sit(tmp_path, echo, easier_alone, MT_EVAL, single_turn=str(single))
    assert asked_of(work, "answerer")["chat (single turn)/9/t3/answer"] == ["Shortly: B?"]
    metrics = metrics_of(works)
    assert set(metrics["subjects"]) == {"chat", "chat (single turn)"}
    found = SessionFigures.from_json(metrics["sessions"]["chat"])
    assert found.single_turn is not None
    assert found.difference is not None
    assert (found.single_turn.mean, found.difference.mean, found.difference.n) == (9, -3, 1)


def test_a_session_that_breaks_off_counts_as_a_bad_one() -> None:
    scored = [Judged("chat", "1", "", 1, 9.0), Judged("chat", "1", "", 2, 1.0, 1)]
    (found,) = session_figures([*scored, Judged("chat", "1", "", 1, 9.0, 2)], 7)
    assert (found.mean.mean, found.best.mean, found.worst.mean) == (7, 9, 5)


def test_a_changed_file_of_controls_stops_the_run(tmp_path: Path) -> None:
    single = tmp_path / "single.jsonl"
    single.write_text(json.dumps(SINGLE), encoding="utf-8")
    work, _ = sit(tmp_path, echo, five, MT_EVAL, single_turn=str(single))
    single.write_text(json.dumps([{**SINGLE[0], "user": "Other"}]), encoding="utf-8")
    with pytest.raises(Exception, match="changed since this run was planned"):
        EvaluateStage().process(work)
