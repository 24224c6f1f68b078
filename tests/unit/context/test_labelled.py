"""`detect` on the queries that were written and labelled for the project, in its untouched half."""

import json
from pathlib import Path
from typing import Any

import pytest

from parrot_core.context import KINDS, detect

LABELLED = Path(__file__).parents[3] / "bench" / "context" / "labelled.jsonl"
LOOK_ALIKES = {"none", "expletive", "conjunction", "generic", "pasted", "filler"}


def labelled() -> list[dict[str, Any]]:
    return [json.loads(line) for line in LABELLED.read_text().splitlines()]


def test_the_set_is_balanced_and_split_evenly_with_known_kinds() -> None:
    every = labelled()
    assert len({query["id"] for query in every}) == len(every) >= 500
    assert abs(sum(1 if query["half"] == "dev" else -1 for query in every)) <= 2
    for query in every:
        assert [message["role"] for message in query["history"]] == ["user", "assistant"]
        known = {*KINDS, "implicit"} if query["depends"] else {*KINDS, *LOOK_ALIKES}
        assert query["kind"] in known


@pytest.mark.parametrize(("language", "precision", "recall"), [("en", 0.85, 0.9), ("zh", 0.9, 0.9)])
def test_on_the_untouched_half_most_are_right(
    language: str, precision: float, recall: float
) -> None:
    queries = [q for q in labelled() if q["half"] == "test" and q["language"] == language]
    called = [q for q in queries if detect(q["query"], q["history"], language).depends]
    right = sum(query["depends"] for query in called)
    assert right / len(called) >= precision
    assert right / sum(query["depends"] for query in queries) >= recall
