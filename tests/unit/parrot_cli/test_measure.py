"""The commands that compare: what the user gets wrong is one line and exit code 2."""

from pathlib import Path

import pytest

TABLE6 = str(Path(__file__).parents[3] / "deployments" / "ablations" / "table6.yaml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("accuracy", "nosuch"), "no run 'nosuch'"),
        (("accuracy", "parrot-chat@x"), "'parrot-chat' has no published version 'x'"),
        (("ablate", "none.yaml"), "none.yaml: no such file"),
        (
            ("ablate", TABLE6, "--cell", "most"),
            "there are: none, neglect, hallucination, misunderstanding, all",
        ),
    ],
)
def test_a_users_mistake_is_one_line(arguments, said, parrot, tmp_path):
    done = parrot(*arguments, "--lake", str(tmp_path / "lake"))
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_the_plan_of_an_ablation_shows_what_is_shared(parrot, tmp_path):
    done = parrot("ablate", TABLE6, "--plan", "--json", "--lake", str(tmp_path / "lake"))
    assert done.code == 0
    assert '"preferences": "table6-neglect"' in done.out
