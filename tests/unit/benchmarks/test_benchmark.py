import json
from pathlib import Path

import fsspec
import pytest

from parrot_core.benchmarks.benchmark import load_benchmark
from parrot_core.errors import SourceError

GOOD = {"question_id": 81, "category": "math", "turns": ["2 + 2?", "And minus 1?"]}


def write(folder: Path, *lines: str) -> str:
    path = folder / "questions.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def test_the_layout_of_fastchat_is_read_and_its_other_fields_are_ignored(tmp_path: Path) -> None:
    line = json.dumps(GOOD | {"reference": ["4", None], "model": "x"})
    benchmark = load_benchmark(write(tmp_path, line, "", json.dumps(GOOD | {"question_id": "b"})))
    first, second = benchmark.questions
    assert (first.question_id, second.question_id) == ("81", "b")
    assert [first.reference_of(1), first.reference_of(2)] == ["4", None]
    assert second.reference_of(2) is None


def test_questions_are_read_from_any_address_fsspec_knows(tmp_path: Path) -> None:
    with fsspec.open("memory://bench/q.jsonl", "wb") as file:
        file.write(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    assert len(load_benchmark("memory://bench/q.jsonl").questions) == 1


def test_a_cut_keeps_the_first_questions_and_turns(tmp_path: Path) -> None:
    lines = [json.dumps(GOOD | {"question_id": i, "reference": ["4", "3"]}) for i in range(3)]
    benchmark = load_benchmark(write(tmp_path, *lines))
    cut = benchmark.cut(2, 1)
    assert [question.question_id for question in cut.questions] == ["0", "1"]
    assert cut.questions[0].turns == ("2 + 2?",)
    assert cut.questions[0].reference == ("4",)
    assert benchmark.cut(None, None).questions == benchmark.questions


def test_a_limit_takes_the_categories_in_turn_and_keeps_the_order_of_the_file(
    tmp_path: Path,
) -> None:
    categories = ["math", "math", "math", "stem", "stem", "writing"]
    lines = [
        json.dumps(GOOD | {"question_id": i, "category": category})
        for i, category in enumerate(categories)
    ]
    benchmark = load_benchmark(write(tmp_path, *lines))
    taken = [[q.question_id for q in benchmark.cut(limit, None).questions] for limit in range(1, 7)]
    assert taken == [["0"], ["0", "3"], ["0", "3", "5"], ["0", "1", "3", "5"],
                     ["0", "1", "3", "4", "5"], ["0", "1", "2", "3", "4", "5"]]  # fmt: skip


def test_a_cut_may_keep_one_language_and_says_which_there_are(tmp_path: Path) -> None:
    chinese = json.dumps(GOOD | {"question_id": "zh", "language": "zh"})
    benchmark = load_benchmark(write(tmp_path, json.dumps(GOOD), chinese))
    assert [q.question_id for q in benchmark.cut(None, None, "zh").questions] == ["zh"]
    assert [q.question_id for q in benchmark.cut(None, None, "en").questions] == ["81"]
    assert len(benchmark.cut(None, None).questions) == 2
    with pytest.raises(SourceError, match=r"language 'fr'; expected one of: en, zh"):
        benchmark.cut(None, None, "fr")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{not json", "not JSON"),
        ("[1]", "not an object"),
        ('{"question_id": 1, "category": "math"}', "turns: Field required"),
        ('{"question_id": 1, "category": "math", "turns": []}', "turns: "),
        ('{"question_id": 1, "category": "math", "turns": ["a", " "]}', "turns: turn 2 is empty"),
        (
            '{"question_id": 1, "category": "x", "turns": ["a", "b"], "reference": ["c"]}',
            "reference has 1 entries for 2 turns",
        ),
        (json.dumps(GOOD), "question_id '81' is that of line 1"),
    ],
)
def test_a_wrong_line_is_named_with_what_was_expected(
    tmp_path: Path, line: str, problem: str
) -> None:
    url = write(tmp_path, json.dumps(GOOD), line)
    with pytest.raises(SourceError) as error:
        load_benchmark(url)
    message = str(error.value)
    assert message.startswith(f"{url}, line 2: {problem}")
    assert "expected" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("nowhere.jsonl", "no such file"),
        ("package://parrot_core/nowhere.jsonl", "ships no file"),
        ("package://no_such_package_at_all/q.jsonl", "no Python package 'no_such_package_at_all'"),
        ("package://", "no Python package"),
        ("nosuchscheme://q.jsonl", "can't be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=problem) as error:
        load_benchmark(url)
    assert str(error.value).startswith(url)


def test_an_empty_file_and_one_that_is_not_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no question in it"):
        load_benchmark(write(tmp_path, ""))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="not UTF-8 at byte 0"):
        load_benchmark(str(tmp_path / "binary"))
