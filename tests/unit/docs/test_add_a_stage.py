"""The stage that the docs show works as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest

from parrot_core.execution.runs import begin_run
from parrot_core.lake.lake import Lake
from parrot_core.schemas import DATASETS
from tests.support.lakes.published import dialogue, publish
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import drive

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "add-a-stage.md"


def test_the_stage_of_the_page_runs_and_its_accounts_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATASETS, "long-dialogues", DATASETS["parrot"])
    names: dict[str, Any] = {}
    (code,) = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    exec(compile(code, str(PAGE), "exec"), names)
    run = begin_run(minimal_recipe(str(tmp_path)))
    lake = Lake(str(tmp_path))
    rows = [dialogue("short", ["a", "b"]), dialogue("long", ["a", "b", "c", "d", "e", "f"])]
    publish(lake, "parrot", rows, version=run.name)
    made = drive(run, names["LongStage"]())
    assert (made.accounting.rows_in, made.accounting.rows_out) == (2, 1)
    assert made.accounting.rejected == {"ended_too_early": 1}
