import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from parrot_core.engines.types import ContextFull, Message
from parrot_core.errors import RecipeError
from parrot_core.execution.runs import begin_run
from parrot_core.lake.manifest import Accounting, Receipt
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.schemas import COMPARISONS
from parrot_core.stages.base import Row, ShardWork, Stage
from parrot_core.stages.evaluation.compare import CompareStage
from tests.support.lakes.scripted_model import Script, ScriptedModel
from tests.support.lakes.stage_work import FakeWork, small_recipe
from tests.support.lakes.toy_stages import drive

TURNS = 2


def judgment(subject: str, question: str, turn: int, answer: str) -> Row:
    return {
        "id": f"{subject}/{question}/t{turn}",
        "source_ids": [question],
        "language": None,
        "subject": subject,
        "category": "math",
        "turn": turn,
        "query": f"{question} query {turn}",
        "answer": answer,
        "score": 5.0,
        "judge_text": "[[5]]",
        "judge_model": "judge",
    }


class Answered(Stage):
    """Judgments of two subjects; one turn of the second has no readable score."""

    name: ClassVar[str] = "evaluate"
    output: ClassVar[str] = "judgments"

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        return [ShardPlan(0)]

    def process(self, work: ShardWork) -> None:
        for subject in ("base", "chat"):
            for question in ("q1", "q2"):
                for turn in range(1, TURNS + 1):
                    work.expect(1)
                    row = judgment(subject, question, turn, f"{subject} says {turn}")
                    if (subject, question, turn) == ("chat", "q2", 1):
                        work.reject(row["id"], [question], "unparsable_verdict", row)
                    else:
                        work.emit(row)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    questions = tmp_path / "questions.jsonl"
    lines = [
        {"question_id": "q1", "category": "math", "turns": ["x", "y"], "reference": ["R1", None]},
        {"question_id": "q2", "category": "math", "turns": ["x", "y"]},
    ]
    questions.write_text("\n".join(map(json.dumps, lines)))
    recipe = small_recipe(
        lake=str(tmp_path / "lake"),
        evaluate={
            "questions": str(questions),
            "subjects": {"base": "answerer", "chat": "asker"},
            "baseline": "base",
        },
    )
    run = begin_run(recipe)
    drive(run, Answered())
    return run


def compared(run: Run, folder: Path, script: Script) -> tuple[FakeWork, ScriptedModel]:
    judge = ScriptedModel(script, "judge")
    plan = CompareStage().plan(run)
    assert len(plan) == 1
    work = FakeWork(run.recipe, folder, plan=plan[0], engines={"judge": judge})
    work.run = run
    CompareStage().process(work)
    work.assert_accounts_close()
    return work, judge


def prefers_chat(messages: Sequence[Message], _: str) -> str:
    shown = messages[0]["content"].split("[A]\n")[1].split("[B]\n")
    return "[[A]]" if "chat says" in shown[0] else "[[B]]"


def test_every_turn_that_both_answered_is_compared_scored_or_not(run: Run, tmp_path: Path) -> None:
    work, _ = compared(run, tmp_path, prefers_chat)
    assert len(work.emitted) == 2 * TURNS
    assert {row["winner"] for row in work.emitted} == {"subject"}
    first = work.emitted[0]
    assert first["source_ids"] == ["chat/q1/t1", "base/q1/t1"]
    assert (first["shown_first"], first["shown_second"]) == ("subject", "subject")
    assert pa.Table.from_pylist(work.emitted, schema=COMPARISONS.arrow).num_rows == 2 * TURNS


def test_each_side_is_shown_with_its_own_earlier_answers_and_the_reference(
    run: Run, tmp_path: Path
) -> None:
    _, judge = compared(run, tmp_path, prefers_chat)
    texts = {sample: messages[0]["content"] for sample, messages, _ in judge.calls}
    second = texts["chat/q1/t2:base/ab/0"]
    a, b = second.split("[A]\n")[1].split("[B]\n")
    assert ("chat says 1" in a, "chat says 2" in a) == (True, True)
    assert ("base says 1" in b, "base says 2" in b) == (True, True)
    assert "R1" in texts["chat/q1/t1:base/ab/0"]
    assert "[Reference]" not in second


def test_win_rates_have_intervals_and_half_is_as_good(run: Run, tmp_path: Path) -> None:
    work, _ = compared(run, tmp_path, lambda messages, sample: "[[A]]")
    receipt = Receipt.model_construct(metrics=work.metrics, accounting=Accounting(unit="x"))
    figures: Any = CompareStage().summarise(run, [receipt])
    assert figures["winners"] == {"chat": {"tie": 4}}
    overall = figures["win_rates"]["chat"]["overall"]
    assert (overall["mean"], overall["n"], overall["sessions"]) == (0.5, 4, 2)
    assert (overall["low"], overall["high"]) == (0.5, 0.5)


def test_what_the_judge_does_not_say_is_rejected_not_guessed(run: Run, tmp_path: Path) -> None:
    def script(messages: Sequence[Message], sample: str) -> str:
        if sample.startswith("chat/q1"):
            return "hm"
        raise ContextFull("too long")

    work, _ = compared(run, tmp_path, script)
    assert [row["reason"] for row in work.rejected] == ["unparsable_verdict"] * 2 + [
        "context_full"
    ] * 2


def test_without_a_baseline_nothing_is_compared_and_an_empty_version_published(
    run: Run, tmp_path: Path
) -> None:
    recipe = small_recipe(lake=str(tmp_path / "lake"), name="plain")
    plain = begin_run(recipe)
    manifest = drive(plain, CompareStage())
    assert manifest.accounting.rows_in == 0
    assert plain.lake.dataset("comparisons", "plain").table().num_rows == 0


def test_a_baseline_that_is_no_subject_is_refused() -> None:
    with pytest.raises(RecipeError, match="baseline 'gpt-4' is no subject"):
        small_recipe(evaluate={"subjects": {"base": "answerer"}, "baseline": "gpt-4"})
