"""Seeds are chosen reproducibly, and only from what may start a dialogue."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from parrot_core.schemas import SEEDS
from parrot_core.stages.base import Row
from parrot_core.stages.ingest.seeds import SeedsStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.stage_work import FakeWork


def _reasons(work: FakeWork) -> list[str]:
    return [row["reason"] for row in work.rejected]


def _conversation(number: int, query: str, **more: Any) -> Row:
    messages = [{"role": "user", "content": query}, {"role": "assistant", "content": "Well."}]
    row = {"id": f"s:{number}", "language": "en", "split": "seed", "opens_session": True}
    row |= {"source": "dump", "group": f"g{number}"}
    return {**row, "messages": messages, **more}


def _seeds(folder: Path, rows: list[Row], limit: int, **more: Any) -> FakeWork:
    seeds = {"limit": limit, "min_chars": 12, "max_chars": 60, **more}
    recipe = minimal_recipe("unused", seeds=seeds)
    work = FakeWork(recipe, folder, rows=rows)
    SeedsStage().process(work)
    work.assert_accounts_close()
    return work


def test_seeds_are_chosen_in_an_order_that_file_order_doesnt_change(tmp_path: Path) -> None:
    rows = [_conversation(i, f"How high is mountain number {i}?") for i in range(60)]
    chosen = _seeds(tmp_path, rows, 10).emitted
    assert [row["id"] for row in _seeds(tmp_path, rows[::-1], 10).emitted] == [
        row["id"] for row in chosen
    ]
    assert len(chosen) == 10
    assert [row["id"] for row in _seeds(tmp_path, rows, 20).emitted][:10] == [
        row["id"] for row in chosen
    ]
    pa.Table.from_pylist(chosen, schema=SEEDS.arrow)
    assert {row["system"] for row in chosen} == {None}
    assert chosen[0]["source_ids"] == [chosen[0]["id"]]


def test_only_usable_opening_queries_of_the_seed_split_become_seeds(tmp_path: Path) -> None:
    rows = [
        _conversation(0, "How high is Mont Blanc?"),
        _conversation(1, "how high is  mont blanc?"),
        _conversation(2, "Why?"),
        _conversation(3, "Why " * 30),
        _conversation(4, "User: what am I to say"),
        _conversation(5, "Tell me how to build a pipe bomb"),
        _conversation(6, "And how deep is the lake there?", opens_session=False),
        _conversation(7, "How deep is Lake Geneva?", split="train"),
    ]
    work = _seeds(tmp_path, rows, 10)
    assert work.expected == 6
    assert sorted(_reasons(work)) == [
        "duplicate",
        "malformed",
        "query_too_long",
        "query_too_short",
        "sensitive",
    ]
    assert "fewer than the 10 asked for" in work.warnings[0]


def test_an_opening_that_leans_on_something_unseen_is_no_seed_unless_the_recipe_takes_it(
    tmp_path: Path,
) -> None:
    leaning = ["How would this make scaling easier or more challenging?", "Continue writing please"]
    alone = ["What makes scaling a database hard?", "Write a poem about a goose and its eggs"]
    lines = "\n".join(f"line {number}: a house and a garden" for number in range(12))
    long = f"How would this make scaling easier?\n{lines}"
    rows = [_conversation(n, text) for n, text in enumerate([*leaning, *alone, long])]
    work = _seeds(tmp_path, rows, 10, max_chars=2000)
    assert {row["query"] for row in work.emitted} == {*alone, long}
    assert _reasons(work) == ["leans_on_unseen"] * 2
    assert {row["detail"] for row in work.rejected} == {
        "demonstrative: 'this'",
        "continuation: 'Continue'",
    }
    assert len(_seeds(tmp_path, rows, 10, max_chars=2000, stand_alone=False).emitted) == 5


def test_by_recipe_sessions_that_train_give_their_openings_too_but_held_out_ones_never(
    tmp_path: Path,
) -> None:
    rows = [
        _conversation(n, f"How high is mountain number {n}?", split=split)
        for n, split in enumerate(("seed", "train", "heldout"))
    ]
    later = {"base": "stub", "learn_first_query": False}
    recipe = minimal_recipe("unused", seeds={"limit": 9, "from_training": True}, train_ask=later)
    work = FakeWork(recipe, tmp_path, rows=rows)
    SeedsStage().process(work)
    assert {row["id"] for row in work.emitted} == {"s:0", "s:1"}


def test_what_is_beyond_the_limit_is_neither_counted_nor_stored(tmp_path: Path) -> None:
    rows = [_conversation(i, f"How high is mountain number {i}?") for i in range(100)]
    work = _seeds(tmp_path, rows, 5)
    assert (work.expected, work.rejected, work.warnings) == (5, [], [])


def test_a_query_like_one_that_is_taken_is_no_seed(tmp_path: Path) -> None:
    rows = [_conversation(i, f"How high is mountain number {i}?", group="g") for i in range(3)]
    work = _seeds(tmp_path, rows, 5)
    assert len(work.emitted) == 1
    assert _reasons(work) == ["near_duplicate"] * 2


def test_each_source_gives_as_many_as_the_recipe_says(tmp_path: Path) -> None:
    rows = [
        _conversation(i, f"How high is mountain number {i}?", source=source)
        for i, source in enumerate(["ShareGPT_V3", "ultra_0", "ultra_1", "baize"] * 20)
    ]
    work = _seeds(tmp_path, rows, 100, per_source={"ShareGPT*": 5, "ultra*": 30})
    assert work.metrics["sources"]["ShareGPT_V3"] == 5
    assert work.metrics["sources"]["ultra_0"] + work.metrics["sources"]["ultra_1"] == 30
    assert "baize" not in work.metrics["sources"]
    assert (work.warnings, work.expected) == ([], 35)
    short = _seeds(tmp_path, rows, 100, per_source={"ShareGPT*": 30, "ultra*": 30})
    assert ["20 usable seeds of sources 'ShareGPT*'" in text for text in short.warnings] == [True]


def test_seeds_are_spread_over_topics_and_languages(tmp_path: Path) -> None:
    kinds = [
        ("en", "Write python code that sorts the list of numbers"),
        ("en", "Recommend a recipe for soup with garlic and potatoes"),
        ("de", "Erkläre mir bitte die Geschichte der Stadt"),
    ]
    counts = (300, 8, 8)
    rows = [
        _conversation(1000 * k + i, f"{text} {1000 * k + i}", language=language)
        for k, ((language, text), count) in enumerate(zip(kinds, counts, strict=True))
        for i in range(count)
    ]
    work = _seeds(tmp_path, rows, 24, topics=2)
    found = [next(k for k, (_, t) in enumerate(kinds) if t in row["query"]) for row in work.emitted]
    assert found.count(2) == 8
    assert found.count(1) >= 6
    topics = {row["topic"] for row in work.emitted}
    assert len(topics) == work.metrics["topics"] == 2
    assert all(topics)
    plain = _seeds(tmp_path, rows, 24).emitted
    assert sum("soup" in row["query"] for row in plain) <= 2
    assert {row["topic"] for row in plain} == {None}
    assert [r["id"] for r in _seeds(tmp_path, rows[::-1], 24, topics=2).emitted] == [
        row["id"] for row in work.emitted
    ]
