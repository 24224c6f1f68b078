import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from parrot_core import __version__
from parrot_core.execution.runs import begin_run
from parrot_core.lake.lake import Lake
from parrot_core.stages.registry import STAGE_SPECS
from tests.support.lakes.finished_run import full_run
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.run_state import begin, publish
from tests.support.lakes.second_run import copied_run
from tests.support.lakes.toy_stages import SeedStage, drive


def write_recipe(folder: Path, **changes: Any) -> str:
    path = folder / "recipe.yaml"
    recipe = minimal_recipe(str(folder / "lake"))
    path.write_text(yaml.safe_dump({**recipe.model_dump(mode="json"), **changes}))
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "none.yaml"], "none.yaml: no such file; expected a recipe in YAML"),
        (["validate", "none.yaml"], "none.yaml: no such file"),
        (["status", "nobody"], "no run 'nobody'"),
        (["retry", "nobody"], "no run 'nobody'"),
        (["report", "nobody"], "no run 'nobody'"),
        (["show", "dialogues"], "'dialogues' is not a published version (published: none)"),
        (["status", "--lake", "nowhere://x"], "nowhere://x: not a storage URL"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(
    parrot: Any, arguments: list[str], line: str
) -> None:
    outcome = parrot(*arguments)
    assert outcome.code == 2
    assert outcome.err.startswith("error: ")
    assert line in outcome.err
    assert "\n" not in outcome.err


def test_a_wrong_value_is_named(parrot: Any, tmp_path: Path) -> None:
    outcome = parrot("run", write_recipe(tmp_path), "--set", "synthesize.max_turns=0")
    assert outcome.code == 2
    assert "synthesize.max_turns" in outcome.err


def test_an_endpoint_where_nothing_answers_is_named_before_any_work(
    parrot: Any, tmp_path: Path
) -> None:
    outcome = parrot("run", write_recipe(tmp_path))
    assert outcome.code == 2
    assert "nothing answers at http://127.0.0.1:9/v1" in outcome.err
    assert not (tmp_path / "lake").exists(), "no run was begun, and none waits for ever"


def test_a_missing_key_names_its_variable(parrot: Any, tmp_path: Path) -> None:
    outcome = parrot("run", write_recipe(tmp_path), "--set", "engines.judge.api_key_env=NO_KEY")
    assert outcome.code == 2
    assert "set the environment variable NO_KEY" in outcome.err


def test_an_unknown_stage_is_named_with_those_there_are(parrot: Any, tmp_path: Path) -> None:
    outcome = parrot("run", write_recipe(tmp_path), "--until", "dinner")
    assert outcome.code == 2
    assert "no stage 'dinner'; there are: ingest, assemble, train-ask" in outcome.err


def test_a_valid_recipe_is_printed_with_its_defaults(parrot: Any, tmp_path: Path) -> None:
    outcome = parrot("validate", write_recipe(tmp_path), "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["synthesize"]["max_turns"] == 10


def test_versions_show_and_verify_tell_what_is_in_the_lake(parrot: Any, tmp_path: Path) -> None:
    lake = str(tmp_path / "lake")
    drive(begin_run(minimal_recipe(lake)), SeedStage())
    (version,) = json.loads(parrot("versions", "--lake", lake, "--json").out)
    assert (version["name"], version["rows"], version["rejected"]) == ("seeds", 3, 3)
    shown = json.loads(parrot("show", "seeds", "--lake", lake, "--json", "--rows", "2").out)
    assert shown["accounting"]["rejected"] == {"query_too_short": 3}
    assert [row["id"] for row in shown["sample"]] == ["s0", "s1"]
    assert "3 rejected" in parrot("show", "seeds@test", "--lake", lake).out
    assert parrot("verify", "seeds", "--lake", lake).code == 0

    damaged = next((tmp_path / "lake/datasets/seeds/test/shards").iterdir())
    damaged.write_bytes(b"PAR1")
    outcome = parrot("verify", "seeds", "--lake", lake)
    assert outcome.code == 1
    assert damaged.name in outcome.err


def test_status_lists_runs_and_shows_one(parrot: Any, tmp_path: Path) -> None:
    lake = str(tmp_path / "lake")
    drive(begin_run(minimal_recipe(lake)), SeedStage())
    (listed,) = json.loads(parrot("status", "--lake", lake, "--json").out)
    assert listed["name"] == "test"
    one = json.loads(parrot("status", "test", "--lake", lake, "--json").out)
    stages = {stage["name"]: stage["status"] for stage in one["stages"]}
    assert stages["seeds"] == "done"
    assert stages["synthesize"] == "waiting"


def test_status_lists_what_it_can_and_names_a_damaged_run(parrot: Any, tmp_path: Path) -> None:
    lake = str(tmp_path / "lake")
    begin_run(minimal_recipe(lake))
    (tmp_path / "lake/runs/torn").mkdir()
    (tmp_path / "lake/runs/torn/run.json").write_text("{")
    outcome = parrot("status", "--lake", lake, "--json")
    assert outcome.code == 1
    assert [run["name"] for run in json.loads(outcome.out)] == ["test"]
    assert "run 'torn': " in outcome.err
    assert "runs/torn/run.json: not valid JSON" in outcome.err


def test_a_run_that_was_to_end_after_a_stage_says_so(parrot: Any, tmp_path: Path) -> None:
    lake, recipe = str(tmp_path / "lake"), write_recipe(tmp_path)
    begun = begin_run(minimal_recipe(lake))
    for spec in STAGE_SPECS[:2]:
        publish(Lake(lake), spec.name, run=begun.name, spec=spec)
    ended = parrot("run", recipe, "--until", "assemble")
    assert ended.code == 0, ended.err
    assert "done until assemble" in parrot("status", "--lake", lake).out
    told = parrot("status", begun.name, "--lake", lake).out
    assert f"{begun.name} done until assemble" in told
    assert f"`parrot retry {begun.name} --rest` goes on with the rest" in told
    one = json.loads(parrot("status", begun.name, "--lake", lake, "--json").out)
    assert (one["status"], one["until"]) == ("done", "assemble")


def test_an_unexpected_error_is_one_line_with_the_traceback_in_a_file(
    parrot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr("parrot_core.recipe.load_recipe", broken)
    outcome = parrot("validate", "x.yaml")
    assert outcome.code == 1
    assert outcome.err.startswith("error: ZeroDivisionError: surprise (a bug, most likely;")
    assert "Traceback" in (tmp_path / ".parrot/work/last-error.log").read_text()


def test_diff_tells_two_runs_apart_and_its_exit_code_says_so_if_asked(
    parrot: Any, tmp_path: Path
) -> None:
    lake = full_run(tmp_path / "lake")
    copied_run(lake, {"parrot": lambda rows: rows[:-1]})
    asked = ("--lake", str(tmp_path / "lake"))
    outcome = parrot("diff", "demo", "second", *asked)
    assert outcome.code == 0
    assert "rows: 4 same, 0 changed, 0 added, 1 removed" in outcome.out
    assert parrot("diff", "demo", "second", "--exit-code", *asked).code == 1
    assert parrot("diff", "demo", "demo", "--exit-code", *asked).code == 0
    assert "Nothing changed." in parrot("diff", "demo", "demo", *asked).out
    data = json.loads(parrot("diff", "demo", "second", "--json", *asked).out)
    assert data["differ"] is True
    assert parrot("diff", "demo", "nobody", *asked).code == 2


def test_a_report_is_html_or_markdown_and_several_runs_are_a_comparison(
    parrot: Any, tmp_path: Path
) -> None:
    lake = full_run(tmp_path / "lake")
    copied_run(lake)
    asked = ("--lake", str(tmp_path / "lake"))
    assert parrot("report", "demo", *asked).code == 0
    assert "<h1>demo" in Path("parrot-report-demo.html").read_text()
    assert parrot("report", "demo", "--markdown", *asked).out.startswith("# Run demo")
    assert parrot("report", "demo", "--markdown", "-o", "demo.md", *asked).code == 0
    assert Path("demo.md").read_text().startswith("# Run demo")
    assert parrot("report", "demo", "second", *asked).code == 0
    assert "comparison of 2 runs" in Path("parrot-report-demo-vs-second.html").read_text()
    assert parrot("report", "demo", "demo", *asked).code == 2
    assert parrot("report", "demo", "second", "--markdown", *asked).code == 2
    assert parrot("report", "demo", "nobody", *asked).code == 2


def test_the_version_and_the_commands_in_groups(parrot: Any) -> None:
    assert parrot("--version").out == f"parrot {__version__}\n"
    text = parrot("--help").out
    groups = ("Run", "Watch", "Data", "Measure", "Recipes", "Operate")
    places = [text.index(f"─ {group} ─") for group in groups]
    assert places == sorted(places)
    for command in ("init", "run", "import", "cancel", "logs", "list", "server"):
        assert f"│ {command} " in text


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["versions"]])
def test_what_only_shows_loads_no_engine_no_stage_and_no_orchestrator(
    tmp_path: Path, arguments: list[str]
) -> None:
    code = (
        "import sys; from parrot_cli.main import main; sys.argv = ['parrot', *sys.argv[1:]]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'openai', 'prefect', 'polars', 'torch', 'parrot_core.stages.base'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_version_of_a_finished_run_is_shown(parrot: Any, tmp_path: Path) -> None:
    lake = full_run(tmp_path / "lake")
    published = lake.versions()
    assert len(published) == 10
    for manifest in published:
        name = f"{manifest.name}@{manifest.version}"
        done = parrot("show", name, "--lake", str(tmp_path / "lake"))
        assert (done.code, name in done.out) == (0, True), done.err


def test_a_trained_model_is_shown_with_its_held_out_figures(parrot: Any, tmp_path: Path) -> None:
    full_run(tmp_path / "lake")
    metrics = {
        "examples": {"rows": 152, "trained": 128, "heldout": 24, "left_out": {}},
        "heldout": {"before": {"loss": 3.3}, "after": {"loss": 3.0}},
        "curve": [{"step": 1, "loss": 3.3}],
        "tokens": 82_686,
    }
    publish(Lake(str(tmp_path / "lake")), "train-ask", run="other", metrics=metrics)
    outcome = parrot("show", "parrot-ask@other", "--lake", str(tmp_path / "lake"))
    assert outcome.code == 0, outcome.err
    assert "3.300 → 3.000" in outcome.out
    assert "trained 128, heldout 24" in outcome.out


def test_what_nobody_knows_the_price_of_is_not_free(parrot: Any, tmp_path: Path) -> None:
    engine = {"kind": "openai", "model": "m", "base_url": "http://x/v1", "api_key_env": None}
    lake = Lake(str(tmp_path / "lake"))
    recipe = {"name": "r", "engines": {"api": engine}}
    begin(lake, "r", recipe)
    used = {"api": {"model": "m", "requests": 3, "prompt_tokens": 9, "completion_tokens": 9}}
    publish(lake, "synthesize", run="r", usage=used, recipe=recipe)
    for arguments in (("status",), ("status", "r"), ("show", "dialogues")):
        assert "price of api unknown" in parrot(*arguments, "--lake", lake.url).out
        assert "$0" not in parrot(*arguments, "--lake", lake.url).out
    begin(lake, "free", recipe)
    publish(lake, "synthesize", run="free", recipe=recipe)
    for arguments in (("diff", "r", "free"), ("report", "r", "--markdown")):
        assert "price of api unknown" in parrot(*arguments, "--lake", lake.url).out
