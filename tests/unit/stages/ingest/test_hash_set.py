"""The compact set answers as Python's own does, and is small."""

from hypothesis import given
from hypothesis import strategies as st

from parrot_core.stages.ingest.hash_set import HashSet

HASHES = st.one_of(st.integers(0, 12), st.integers(0, 2**64 - 1), st.just(2**64 - 1))


@given(st.lists(HASHES, max_size=80), st.integers(1, 9))
def test_it_holds_what_was_added_and_says_what_is_new(hashes: list[int], at_once: int) -> None:
    ours, pythons = HashSet(at_once), set[int]()
    for hashed in hashes:
        assert (hashed in ours) == (hashed in pythons)
        assert ours.add(hashed) == (hashed not in pythons)
        pythons.add(hashed)
    assert all(hashed in ours for hashed in pythons)


def test_twenty_thousand_hashes_lie_in_few_arrays_of_eight_bytes_each() -> None:
    ours = HashSet(1 << 10)
    for number in range(20_000):
        ours.add(number * 0x9E3779B97F4A7C15 % 2**64)
    assert len(ours._sorted) <= 8
    assert sum(part.nbytes for part in ours._sorted) <= 8 * 20_000
