"""Style that tells the sides apart is seen by a classifier of the answer alone, and only style."""

from parrot_core.stages.capo.answer_alone import FEWEST_PAIRS, Mean, auc_of

TOWNS = [f"town{number}" for number in range(24)]


def test_a_phrase_that_only_negatives_have_is_found_and_content_that_both_share_is_not() -> None:
    styled = [(f"It has a river: {t}.", f"As an assistant I can say {t} has none.") for t in TOWNS]
    found = auc_of(styled)
    assert found is not None
    assert Mean(**found).rounded == 1.0  # type: ignore[arg-type]
    alike = [(f"It is {t}.", f"It is {TOWNS[-n - 1]}.") for n, t in enumerate(TOWNS)]
    chance = auc_of(alike)
    assert chance is not None
    assert chance["total"] / chance["number"] < 0.6
    assert auc_of(styled) == found


def test_length_alone_is_style_too() -> None:
    pairs = [(f"{town} " * 40, town) for town in TOWNS]
    found = auc_of(pairs)
    assert found is not None
    assert found["total"] > 0.95 * len(pairs)


def test_too_few_pairs_say_nothing() -> None:
    assert auc_of([("a", "b")] * (FEWEST_PAIRS - 1)) is None
