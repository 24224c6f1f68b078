"""The commands that compare: what the user gets wrong is one line and exit code 2."""

import subprocess
import sys

import pytest


def parrot(*arguments):
    command = [sys.executable, "-c", "from flows.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("accuracy", "nosuch"), "no run 'nosuch'"),
        (("accuracy", "parrot-chat@x"), "'parrot-chat' has no published version 'x'"),
        (("ablate", "none.yaml"), "none.yaml: no such file"),
        (
            ("ablate", "deployments/ablations/table6.yaml", "--cell", "most"),
            "there are: none, neglect, hallucination, misunderstanding, all",
        ),
    ],
)
def test_a_users_mistake_is_one_line(arguments, said, tmp_path):
    done = parrot(*arguments, "--lake", str(tmp_path / "lake"))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_plan_of_an_ablation_shows_what_is_shared(tmp_path):
    done = parrot(
        *("ablate", "deployments/ablations/table6.yaml", "--plan", "--json"),
        *("--lake", str(tmp_path / "lake")),
    )
    assert done.returncode == 0
    assert '"preferences": "table6-neglect"' in done.stdout
