"""Who was held out can be told from data, recipe and seed alone."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from parrot_core.stages.training.choice import Candidate, ChoiceLimits, choose, parts_of


@given(
    st.lists(st.integers(0, 8), max_size=30),
    st.none() | st.integers(1, 20),
    st.integers(0, 10),
    st.floats(0, 0.45),
    st.integers(0, 5),
)
def test_the_parts_computed_are_those_that_were_written(groups, most, heldout, share, seed):
    rows = [Candidate(f"r{i}", group=f"g{g}", example={"n": i}) for i, g in enumerate(groups)]
    rows.append(Candidate("odd", left_out="strategy_neglect"))
    limits = ChoiceLimits(most, heldout, share)
    with TemporaryDirectory() as name:
        files = {"train": Path(name) / "train.jsonl", "heldout": Path(name) / "heldout.jsonl"}
        choose(rows, files, limits, seed)
        written = {
            f"r{json.loads(line)['n']}": part
            for part, path in files.items()
            for line in path.read_text().splitlines()
        }
    assert parts_of(rows, limits, seed) == written
