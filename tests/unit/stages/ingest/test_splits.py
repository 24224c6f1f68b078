"""A session's parts stay together, and the splits have the sizes the recipe asks for."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from parrot_core.stages.ingest.layouts import parse_id
from parrot_core.stages.ingest.splits import split_of

_FRACTIONS = st.floats(0.01, 0.49)


@given(
    base=st.text(min_size=1),
    parts=st.lists(st.integers(0, 10**6), min_size=2),
    seed=st.integers(0, 2**31),
    heldout=_FRACTIONS,
    seeds=_FRACTIONS,
)
def test_all_parts_of_a_session_land_in_one_split(
    base: str, parts: list[int], seed: int, heldout: float, seeds: float
) -> None:
    ids = [parse_id(f"{base}_{part}") for part in parts]
    assert {found.base for found in ids} == {base}
    assert [found.part for found in ids] == parts
    assert len({split_of(seed, found.base, heldout, seeds) for found in ids}) == 1


def test_splits_have_their_sizes_and_change_with_the_seed() -> None:
    ids = [f"session-{number}" for number in range(4000)]
    splits = [[split_of(seed, one, 0.1, 0.3) for one in ids] for seed in (1, 2)]
    sizes = Counter(splits[0])
    assert abs(sizes["heldout"] - 400) < 80
    assert abs(sizes["seed"] - 1200) < 120
    assert splits[0] != splits[1]
