"""What a shell offers after the tabulator: the command as bash calls it, as a process."""

import os
import subprocess
from pathlib import Path

import pytest

from parrot_core.execution.runs import begin_run
from tests.support.lakes.recipes import minimal_recipe
from tests.support.runs.command import PARROT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("nightly-1", "nightly-2", "other"):
        begin_run(minimal_recipe(str(tmp_path / "lake"), name=name))
    return tmp_path


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("parrot run pa", ["paper"]),
        ("parrot run paper --until tr", ["train-ask", "train-sft", "train-dpo"]),
        ("parrot retry --lake lake --shard cap", ["capo"]),
        ("parrot status --lake lake night", ["nightly-1", "nightly-2"]),
        ("parrot diff --lake lake other nightly-", ["nightly-1", "nightly-2"]),
        ("parrot logs --lake nowhere://x n", []),
    ],
)
def test_stages_runs_and_recipes_are_offered(folder: Path, line: str, offered: list[str]) -> None:
    asked = {"_PARROT_COMPLETE": "complete_bash", "COMP_WORDS": line}
    asked["COMP_CWORD"] = str(len(line.split()) - 1)
    done = subprocess.run(
        [*PARROT[:-1], f"import sys; sys.argv[0] = 'parrot'; {PARROT[-1]}"],
        cwd=folder,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == offered, done.stderr
