"""`detect` on the queries that were written and labelled for the project, in its untouched half."""

import pytest

from parrot_core.context import KINDS, detect
from parrot_core.context.labelled import labelled_queries

LOOK_ALIKES = {"none", "expletive", "conjunction", "generic", "pasted", "filler"}


def test_the_set_is_balanced_and_split_evenly_with_known_kinds() -> None:
    dev, test = labelled_queries("dev"), labelled_queries("test")
    every = (*dev, *test)
    assert len({query.id for query in every}) == len(every) >= 500
    assert abs(len(dev) - len(test)) <= 2
    for query in every:
        assert [message["role"] for message in query.history] == ["user", "assistant"]
        known = {*KINDS, "implicit"} if query.depends else {*KINDS, *LOOK_ALIKES}
        assert query.kind in known


@pytest.mark.parametrize(("language", "precision", "recall"), [("en", 0.85, 0.9), ("zh", 0.9, 0.9)])
def test_on_the_untouched_half_most_are_right(
    language: str, precision: float, recall: float
) -> None:
    queries = [q for q in labelled_queries("test") if q.language == language]
    called = [q for q in queries if detect(q.query, q.history, language).depends]
    right = sum(query.depends for query in called)
    assert right / len(called) >= precision
    assert right / sum(query.depends for query in queries) >= recall
