"""The labelled set is what its page says, and the rules are as good on it as that page says."""

from collections import Counter

import pytest

from parrot_core.context import KINDS, detect
from parrot_core.context.agreement import score
from parrot_core.context.labelled import labelled_queries

LOOK_ALIKES = {"none", "expletive", "conjunction", "generic", "pasted", "filler"}


def test_the_set_is_large_balanced_and_split_evenly() -> None:
    dev, test = labelled_queries("dev"), labelled_queries("test")
    every = (*dev, *test)
    assert len({query.id for query in every}) == len(every) >= 500
    for language, least in (("en", 300), ("zh", 100)):
        own = [query for query in every if query.language == language]
        assert len(own) >= least
        assert 0.4 < sum(query.depends for query in own) / len(own) < 0.6
    assert abs(len(dev) - len(test)) <= 2


def test_every_query_has_a_history_and_a_known_kind() -> None:
    for query in (*labelled_queries("dev"), *labelled_queries("test")):
        assert [message["role"] for message in query.history] == ["user", "assistant"]
        assert query.query.strip()
        assert query.kind in {*KINDS, "implicit"} if query.depends else {*KINDS, *LOOK_ALIKES}


def test_each_kind_of_cue_is_in_both_halves() -> None:
    halves = [
        Counter(query.kind for query in labelled_queries(half) if query.depends)
        for half in ("dev", "test")
    ]
    for counted in halves:
        assert set(counted) == {*KINDS, "implicit"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_on_the_untouched_half_the_rules_keep_precision_and_recall(language: str) -> None:
    found = score(
        (query.depends, bool(detect(query.query, query.history, language).depends))
        for query in labelled_queries("test")
        if query.language == language
    )
    assert found.precision.value >= 0.9
    assert found.recall.value >= 0.85
