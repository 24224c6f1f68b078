import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from parrot_core.stages.training.choice import Candidate, ChoiceLimits, choose


def run(rows, limits, seed=1):
    with TemporaryDirectory() as name:
        files = {"train": Path(name) / "train.jsonl", "heldout": Path(name) / "heldout.jsonl"}
        choice = choose(rows, files, limits, seed)
        lines = {
            part: [json.loads(line)["n"] for line in path.read_text().splitlines()]
            for part, path in files.items()
        }
    return choice, lines


def candidates(groups):
    return [Candidate(f"r{i}", group=f"g{g}", example={"n": i}) for i, g in enumerate(groups)]


@given(
    st.lists(st.integers(0, 8), max_size=40),
    st.none() | st.integers(1, 20),
    st.integers(0, 10),
    st.floats(0, 0.45),
)
def test_every_row_is_trained_on_held_out_or_left_out_for_a_reason(groups, most, heldout, share):
    rows = [*candidates(groups), Candidate("odd", left_out="split_seed")]
    choice, lines = run(rows, ChoiceLimits(most, heldout, share))
    assert choice.rows == len(rows)
    assert choice.rows == sum(choice.written.values()) + sum(choice.left_out.values())
    assert {part: len(found) for part, found in lines.items()} == choice.written
    assert len(lines["heldout"]) <= heldout
    held = {groups[n] for n in lines["heldout"]}
    assert not held & {groups[n] for n in lines["train"]}


def test_the_choice_is_the_same_again_and_another_with_another_seed():
    rows = candidates(range(40))
    first, second = (run(rows, ChoiceLimits(10, 5, 0.2)) for _ in range(2))
    assert first == second
    assert run(rows, ChoiceLimits(10, 5, 0.2), seed=2)[1] != first[1]


def test_a_small_dataset_still_holds_one_group_out():
    assert len(run(candidates([0, 1, 2]), ChoiceLimits(None, 5, 0.02))[1]["heldout"]) == 1


def test_the_split_of_the_data_is_obeyed():
    rows = [
        Candidate(f"r{i}", part=p, example={"n": i}) for i, p in enumerate(["heldout", "train"])
    ]
    assert run(rows, ChoiceLimits(None, 5))[1] == {"train": [1], "heldout": [0]}
