"""Names, ids and texts that somebody else wrote can be read and do nothing else."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from parrot_cli.status_view import render_status
from parrot_core.errors import ParrotError, StorageError, UserError
from parrot_core.execution.runs import begin_run, open_run
from parrot_core.lake.lake import Lake
from parrot_core.lake.storage import Storage
from parrot_core.monitor.reader import read_run
from parrot_core.report.html_report import build_report
from parrot_core.stages.base import ShardWork
from parrot_core.stages.registry import STAGE_SPECS
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.run_state import NOW, RUN, begin, failure, plan, publish
from tests.support.lakes.toy_stages import SeedStage, drive

OUTSIDE = ("../../evil", "..", "/tmp/abs", "a/b", "a\0b", "a\nb", "", ".hidden", "é", "a" * 101)
MARKUP = '<script>alert(1)</script><img src=x onerror="alert(2)">{{ 7*7 }}{% raw %}'
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e[red]"
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", [name for name in OUTSIDE if name])
def test_a_run_name_can_not_leave_the_lake(tmp_path: Path, name: str) -> None:
    recipe = minimal_recipe(str(tmp_path / "lake"))
    with pytest.raises(UserError, match="expected up to 100 letters"):
        begin_run(recipe, name)
    with pytest.raises(UserError, match="expected up to 100 letters"):
        open_run(Lake(recipe.lake), name)
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=40), st.sampled_from(["../", "/../", "a/../../", "\0", "/", "x/.."]))
def test_no_path_leads_out_of_a_storage(
    tmp_path_factory: pytest.TempPathFactory, text: str, way_out: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "paths"
    storage = Storage(str(folder / "lake"))
    with pytest.raises(StorageError, match="not a path below"):
        storage.write_bytes(f"{way_out}/{text}" if way_out != "\0" else f"a\0{text}", b"x")
    assert not folder.exists()


@pytest.mark.parametrize("version", ["../../../evil", "/etc"])
def test_a_pinned_version_can_not_leave_the_lake(tmp_path: Path, version: str) -> None:
    run = begin_run(minimal_recipe(str(tmp_path / "lake"), inputs={"seeds": version}))
    with pytest.raises(ParrotError):
        run.lake.dataset("seeds", version)


class HostileSeeds(SeedStage):
    """Sources whose ids are paths and whose texts are code."""

    def process(self, work: ShardWork) -> None:
        work.expect(len(OUTSIDE) + 1)
        for number, name in enumerate(OUTSIDE):
            row = {"id": f"{name}#{number}", "source_ids": [name], "language": "en"}
            work.emit(row | {"query": MARKUP + ESCAPES})
        work.reject("../../r", ["/etc/passwd"], "query_too_short", {"q": MARKUP}, ESCAPES)


def test_ids_of_a_dataset_are_no_paths(tmp_path: Path) -> None:
    lake = tmp_path / "deep" / "down" / "lake"
    manifest = drive(begin_run(minimal_recipe(str(lake))), HostileSeeds(1))
    assert manifest.accounting.rows_out == len(OUTSIDE)
    outside = [p for p in tmp_path.rglob("*") if p.is_file() and not p.is_relative_to(lake)]
    assert outside == []
    ids = [row["source_ids"][0] for row in Lake(str(lake)).dataset("seeds", "test").rows()]
    assert ids == list(OUTSIDE)


def hostile_lake(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path / "lake"))
    begin(lake)
    publish(lake, "ingest", warnings=(MARKUP + ESCAPES,))
    plan(lake, "synthesize", [3])
    failure(lake, "synthesize", 0, 1, message=MARKUP + ESCAPES, error_type=MARKUP)
    return lake


def test_errors_and_warnings_are_text_in_the_report(tmp_path: Path) -> None:
    html = build_report(hostile_lake(tmp_path), RUN, STAGE_SPECS)
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "49" not in html.partition("alert(1)")[2][:200]  # {{ 7*7 }} wasn't evaluated
    assert not {"\x1b", "\x9b", "\u202e"} & set(html)


def test_errors_and_warnings_are_text_in_the_terminal(tmp_path: Path) -> None:
    console = Console(record=True, width=400, force_terminal=True, color_system=None)
    console.print(render_status(read_run(hostile_lake(tmp_path), RUN, STAGE_SPECS, NOW)))
    shown = console.export_text()
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)
    assert "[red]" in shown  # not read as markup


LOADERS = {"pickle", "cPickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"}


def test_no_pickle_is_ever_loaded() -> None:
    """Neither by us, nor by torch, numpy or datasets in our name."""
    files = [f for top in ("parrot_core", "tasks", "flows") for f in (ROOT / top).rglob("*.py")]
    assert len(files) > 100
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
                names = {module, *(alias.name for alias in node.names)}
                assert not {name.split(".")[0] for name in names} & LOADERS, f"{file}: {names}"
            if isinstance(node, ast.Call):
                _check_call(file, node)


def _check_call(file: Path, call: ast.Call) -> None:
    watched = ("weights_only", "trust_remote_code", "allow_pickle")
    given = {w.arg: ast.unparse(w.value) for w in call.keywords if w.arg in watched}
    where = f"{file}:{call.lineno}"
    loads = isinstance(call.func, ast.Attribute) and call.func.attr == "load"
    if loads and ast.unparse(call.func).endswith("torch.load"):
        assert given.get("weights_only") == "True", where
    assert given.get("trust_remote_code", "False") == "False", where
    assert given.get("allow_pickle", "False") == "False", where
