"""Cohen's kappa: agreement beyond chance, on the rows that both have marked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.browse.agreement import agreement

VERDICTS = st.dictionaries(st.integers(0, 20).map(str), st.sampled_from(["keep", "flag", "unsure"]))


def test_kappa_of_a_table_worked_out_by_hand() -> None:
    # 20 both keep, 15 both flag, 5 keep/flag, 10 flag/keep: Cohen's textbook case
    pairs = [("keep", "keep")] * 20 + [("flag", "flag")] * 15
    pairs += [("keep", "flag")] * 5 + [("flag", "keep")] * 10
    one = {str(n): pair[0] for n, pair in enumerate(pairs)}
    other = {str(n): pair[1] for n, pair in enumerate(pairs)} | {"more": "keep"}
    found = agreement(one, other)
    assert (found.rows, found.same) == (50, 0.7)
    assert found.kappa == pytest.approx(0.4)


def test_without_common_rows_or_variety_there_is_no_kappa() -> None:
    assert agreement({"a": "keep"}, {"b": "keep"}).kappa is None
    assert agreement({"a": "keep"}, {"a": "keep"}).kappa is None


@given(VERDICTS, VERDICTS)
def test_kappa_is_the_same_from_both_sides_and_at_most_one(
    one: dict[str, str], other: dict[str, str]
) -> None:
    found, back = agreement(one, other), agreement(other, one)
    assert (found.kappa is None) == (back.kappa is None)
    if found.kappa is not None and back.kappa is not None:
        assert found.kappa == pytest.approx(back.kappa)
        assert found.kappa <= 1.0 + 1e-9
