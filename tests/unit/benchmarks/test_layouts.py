import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.benchmarks.benchmark import Benchmark, load_benchmark
from parrot_core.benchmarks.single_turn import single_turn_controls
from parrot_core.errors import SourceError
from parrot_core.recipe import Evaluate

MT_BENCH = {"question_id": 81, "category": "writing", "turns": ["A?", "B?"]}
MT_BENCH_101 = {
    "task": "GR",
    "id": 1,
    "history": [{"user": "A?", "bot": "a"}, {"user": "B?", "bot": "b"}],
}
FOLLOW_UP = {
    "question_id": 82,
    "category": "writing",
    "conversation": [
        {"user": "A?", "sys": "a", "id": "82_0"},
        {"user": "B?", "sys": "b", "id": "82_1"},
    ],
}
REFINEMENT = {
    "conv": [
        {"user": "Content: x", "sys": "OK", "id": "instruction", "do_inference": False},
        {"user": "Sum it up.", "sys": "", "id": "1_sum_1", "do_inference": True, "inst": "…"},
    ],
    "id": "7",
}
SINGLE = [{"user": "Sum up: x", "sys": "", "id": "1_sum_1"}]
DATA = Path(__file__).parents[4] / "shared" / "data"


def write(folder: Path, *records: object, name: str = "q.jsonl") -> str:
    path = folder / name
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return str(path)


def load(folder: Path, *records: object) -> Benchmark:
    return load_benchmark(write(folder, *records))


def test_mt_bench_101_brings_its_answers_and_references_where_one_answer_is_right(
    tmp_path: Path,
) -> None:
    other = {**MT_BENCH_101, "id": 2, "task": "TS"}
    reasoning, shift = load(tmp_path, MT_BENCH_101, other).questions
    assert (reasoning.question_id, reasoning.category) == ("1", "GR")
    assert reasoning.turns == ("A?", "B?")
    assert [reasoning.given_to(n) for n in (1, 2)] == ["a", "b"]
    assert reasoning.reference_of(2) == "b"
    assert shift.reference_of(2) is None


def test_mt_eval_is_read_as_it_was_published_and_as_its_script_makes_it(tmp_path: Path) -> None:
    raw, made, single = load(tmp_path, FOLLOW_UP, REFINEMENT, SINGLE).questions
    assert (raw.question_id, raw.category, raw.turn_ids) == ("82", "writing", ("82_0", "82_1"))
    assert [raw.given_to(n) for n in (1, 2)] == ["a", "b"]
    assert [made.is_asked(n) for n in (1, 2)] == [False, True]
    assert (made.question_id, made.given_to(1), made.given_to(2)) == ("7", "OK", None)
    assert (single.question_id, single.category, single.turns) == ("1_sum_1", "sum", ("Sum up: x",))


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({**MT_BENCH_101, "history": "A?"}, "history"),
        ({**MT_BENCH_101, "history": [{"bot": "b"}]}, "history.0.user: Field required"),
        ({**MT_BENCH_101, "history": []}, "turns"),
        ({**FOLLOW_UP, "conversation": [{"user": 1}]}, "conv.0.user"),
        (
            {**REFINEMENT, "conv": [{"user": "x", "sys": "", "do_inference": False}]},
            "turn 1 is not asked, and has no answer",
        ),
        ([], "not an object"),
    ],
)
def test_a_record_out_of_shape_is_named_by_its_line(
    tmp_path: Path, record: object, problem: str
) -> None:
    with pytest.raises(SourceError, match=rf"line 2.*{problem}"):
        load(tmp_path, MT_BENCH, record)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["turns", "history", "conv", "conversation", "user", "id", "task", "sys"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_a_question_or_one_clear_line(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    folder = tmp_path_factory.getbasetemp()
    said = ""
    try:
        load(folder, value)
    except SourceError as error:
        said = str(error)
    assert "\n" not in said


def evaluate(folder: Path, *singles: object) -> Evaluate:
    return Evaluate(single_turn=write(folder, *singles, name="single.jsonl"))


@pytest.mark.parametrize("id", ["1_sum_1", "7#1_sum_1", "7_1_sum_1"])
def test_a_single_turn_equivalent_is_found_by_the_id_of_its_turn(tmp_path: Path, id: str) -> None:
    settings = evaluate(tmp_path, [{**SINGLE[0], "id": id}])
    (control,) = single_turn_controls(load(tmp_path, REFINEMENT), settings).questions
    assert (control.question_id, control.first_turn, control.turns) == ("7", 2, ("Sum up: x",))


def test_equivalents_of_another_benchmark_are_refused(tmp_path: Path) -> None:
    settings = evaluate(tmp_path, [{**SINGLE[0], "id": "99_qa_1"}])
    with pytest.raises(SourceError, match="no single-turn equivalent of a turn"):
        single_turn_controls(load(tmp_path, REFINEMENT), settings)


def test_all_queries_so_far_in_one_message_are_the_control_of_later_turns(tmp_path: Path) -> None:
    record = {**MT_BENCH, "turns": ["A?", "B?", "C?"], "reference": ["a", None, "c"]}
    settings = Evaluate(single_turn="concat")
    second, third = single_turn_controls(load(tmp_path, record), settings).questions
    assert (second.first_turn, third.first_turn) == (2, 3)
    assert third.turns[0].endswith("1. A?\n\n2. B?\n\n3. C?")
    assert (second.reference_of(1), third.reference_of(1)) == (None, "c")


def test_our_own_eight_turns_have_a_control_of_each_later_turn_in_their_language() -> None:
    benchmark = load_benchmark(Evaluate().questions)
    controls = single_turn_controls(benchmark, Evaluate(single_turn="concat")).questions
    assert len(controls) == 7 * len(benchmark.questions)
    assert controls[0].turns[0].startswith("I wrote")
    assert controls[-1].turns[0].startswith("下面")


@pytest.mark.skipif(not DATA.is_dir(), reason="the benchmarks lie beside the project, not in it")
@pytest.mark.parametrize(
    ("file", "sessions", "turns"),
    [
        ("mt_bench/question.jsonl", 80, 160),
        ("mt_bench_101/mtbench101.jsonl", 1388, 4208),
        ("mt_eval/mt-bench_extended.jsonl", 80, 400),
        ("mt_eval/refinement_single_inst.jsonl", 200, 200),
    ],
)
def test_the_published_files_load_whole(file: str, sessions: int, turns: int) -> None:
    questions = load_benchmark(str(DATA / file)).questions
    assert (len(questions), sum(len(q.turns) for q in questions)) == (sessions, turns)
