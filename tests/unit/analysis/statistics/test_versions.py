"""Statistics of a version are kept beside it; those of a file are worked out anew."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parrot_cli.main import app
from parrot_core.analysis.statistics.compute import Options, compute
from parrot_core.analysis.statistics.reading import open_sessions
from parrot_core.analysis.statistics.table1 import TABLE_1
from parrot_core.analysis.statistics.values import Statistics
from parrot_core.analysis.statistics.versions import best_kept, statistics_of
from parrot_core.errors import SourceError, UserError
from parrot_core.lake.lake import Lake
from parrot_core.lake.verify import verify_version
from parrot_core.report.html_report import render_statistics
from tests.support.lakes.finished_run import full_run
from tests.support.lakes.run_state import RUN

TALKS = [
    {
        "id": f"t{number}",
        "conversations": [
            {"from": "human", "value": f"What is comet number {number}?"},
            {"from": "gpt", "value": "A ball of ice."},
            {"from": "human", "value": "How large is it?"},
            {"from": "gpt", "value": "A few kilometres."},
        ],
    }
    for number in range(6)
]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return full_run(tmp_path / "lake")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "talks.json"
    path.write_text(json.dumps([*TALKS, {"id": "empty", "conversations": []}]))
    return path


def test_statistics_of_a_version_are_computed_once_and_read_again(lake: Lake) -> None:
    first = statistics_of(lake, f"parrot@{RUN}")
    [kept] = lake.storage.list("statistics")
    value = lake.storage.read_json(kept)
    lake.storage.write_json(kept, value | {"label": "read from the lake"})
    assert statistics_of(lake, f"parrot@{RUN}").label == "read from the lake"
    assert statistics_of(lake, f"parrot@{RUN}", Options(seed=7)).label == first.label


def test_the_best_that_is_kept_is_of_the_whole_version_and_of_most_sessions(lake: Lake) -> None:
    assert best_kept(lake, "parrot", RUN) is None
    small = statistics_of(lake, f"parrot@{RUN}", Options(sample=1))
    assert best_kept(lake, "parrot", RUN) == small
    whole = statistics_of(lake, f"parrot@{RUN}")
    statistics_of(lake, f"conversations@{RUN}:heldout")
    lake.storage.write_json(f"statistics/parrot/{RUN}/other.json", {"format": 2})
    assert best_kept(lake, "parrot", RUN) == whole
    assert best_kept(lake, "conversations", RUN) is None


def test_what_is_kept_lies_outside_the_version(lake: Lake) -> None:
    manifest = lake.manifest("dataset", "parrot", RUN)
    before = verify_version(lake, manifest)
    statistics_of(lake, "parrot")
    assert verify_version(lake, manifest) == before


def test_kept_statistics_of_another_shape_are_worked_out_anew(lake: Lake) -> None:
    first = statistics_of(lake, "parrot")
    [kept] = lake.storage.list("statistics")
    lake.storage.write_json(kept, {"format": 99})
    assert statistics_of(lake, "parrot") == first


def test_the_human_set_is_found_through_the_lineage(lake: Lake) -> None:
    assert statistics_of(lake, "parrot").human == f"conversations@{RUN}:heldout"
    assert statistics_of(lake, "parrot", human_set="").human is None


def test_a_file_is_cleaned_as_ingest_cleans_it_and_accounts_close(lake: Lake, file: Path) -> None:
    found = statistics_of(lake, str(file))
    assert (found.sessions, found.left_out) == (6, {"no_turns": 1})
    figure = found.figure("context_dependent")
    assert figure is not None
    assert figure.value == 1
    assert found.human is None
    assert not lake.storage.list("statistics")


def test_a_sample_measures_so_many_sessions_and_the_same_ones_again(lake: Lake, file: Path) -> None:
    sessions = open_sessions(lake, str(file))
    first, again = (compute(sessions, Options(sample=3)) for _ in range(2))
    assert (first.sessions, first.measured) == (6, 3)
    assert first == again


def test_statistics_survive_json(lake: Lake) -> None:
    found = statistics_of(lake, "conversations")
    assert Statistics.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("preferences", "holds no sessions"),
        ("parrot:heldout", "has no splits"),
        ("parot", "expected one of conversations"),
    ],
)
def test_a_wrong_name_is_told_in_one_line(lake: Lake, what: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        open_sessions(lake, what)


def test_a_missing_file_is_named(lake: Lake) -> None:
    with pytest.raises(SourceError, match="no such file"):
        open_sessions(lake, "/nowhere/talks.json")


def test_the_command_shows_sets_side_by_side_with_the_papers_table(
    lake: Lake, file: Path, tmp_path: Path
) -> None:
    page, values = tmp_path / "page.html", tmp_path / "values.json"
    arguments = ["stats", "parrot", str(file), "--lake", lake.url]
    written = ["--html", str(page), "--out", str(values)]
    result = CliRunner().invoke(app, [*arguments, *written])
    assert result.exit_code == 0
    for label in ("turns a session", "Self-ROUGE", *(row.label for row in TABLE_1)):
        assert label in result.stdout
    assert len(json.loads(values.read_text())) == 2
    html = page.read_text()
    assert "<svg" in html
    assert not re.search(r"<script|https?://[^\"<]*\.(?:js|css|png)", html)
    shown = CliRunner().invoke(app, [*arguments, "--json"])
    assert json.loads(shown.stdout) == json.loads(values.read_text())


def test_a_page_escapes_what_strangers_named(lake: Lake, file: Path) -> None:
    found = statistics_of(lake, str(file)).model_copy(update={"label": "<script>x</script>"})
    assert "<script>" not in render_statistics([found])


def test_export_and_its_refusal_on_the_command_line(lake: Lake, tmp_path: Path) -> None:
    target = tmp_path / "out"
    arguments = ["export", "parrot", "--to", str(target), "--format", "trl", "--lake", lake.url]
    done = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert (done["version"], done["files"][0]["path"]) == (f"parrot@{RUN}", "train.jsonl")
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, UserError)
