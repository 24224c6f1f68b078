"""Types of a version's metrics."""

import pytest
from pydantic import ValidationError

from parrot_core.lake.metrics import CleaningMetrics, TrainingMetrics, TruncationMetrics
from parrot_core.stages.registry import STAGES


def test_what_a_stage_has_not_declared_is_refused() -> None:
    for stage in STAGES:
        with pytest.raises(ValidationError, match="surprise"):
            stage.metrics.model_validate({"surprise": 1})


def test_what_many_stages_are_read_for_means_the_same_in_all_of_them() -> None:
    for stage in STAGES:
        for read in (CleaningMetrics, TruncationMetrics):
            shared = read.model_fields.keys() & stage.metrics.model_fields.keys()
            if stage.kind == "dataset" and shared:
                assert issubclass(stage.metrics, read)
        assert issubclass(stage.metrics, TrainingMetrics) == (stage.kind == "model")


def test_a_reader_takes_the_part_that_it_knows() -> None:
    found = TruncationMetrics.read({"truncated": {"answer": 2}, "turns": 7})
    assert found.truncated == {"answer": 2}
    assert TruncationMetrics.read({}).truncated == {}
