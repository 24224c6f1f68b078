import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.errors import TrainingFailed
from parrot_core.recipe import TrainDpo, TrainSft
from parrot_core.stages.training.schedule import Schedule


def test_the_papers_settings_give_the_papers_schedule():
    settings = TrainSft(base="x", per_device_batch_size=4)
    schedule = Schedule.of(settings, examples=70_000, processes=8)
    assert (schedule.per_device, schedule.accumulation) == (4, 1)
    assert (schedule.total_steps, schedule.warmup_steps) == (6563, 219)


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 500), st.integers(1, 50))
def test_a_batch_is_met_exactly_and_warm_up_leaves_a_step(batch, per_device, examples, most):
    settings = TrainSft(
        base="x", batch_size=batch, per_device_batch_size=per_device, max_steps=most
    )
    schedule = Schedule.of(settings, examples, processes=1)
    assert schedule.per_device * schedule.accumulation == batch
    assert schedule.per_device <= per_device
    assert 1 <= schedule.total_steps <= most
    assert 0 <= schedule.warmup_steps < schedule.total_steps


def test_a_batch_that_devices_cannot_share_is_refused():
    with pytest.raises(TrainingFailed, match="expected a multiple of 8"):
        Schedule.of(TrainSft(base="x", batch_size=12), 100, 8)


@pytest.mark.parametrize(
    ("settings", "at_once"),
    [
        ({"batch_size": 24}, 12),
        ({"batch_size": 32}, 8),  # what divides the batch
        ({"batch_size": 24, "strategies": ("neglect",)}, 4),
        ({"batch_size": 24, "share_prefix": False}, 4),
    ],
)
def test_a_device_takes_queries_with_all_their_negatives_where_these_share_a_prefix(
    settings, at_once
):
    schedule = Schedule.of(TrainDpo(per_device_batch_size=4, **settings), 1000, 1)
    assert schedule.per_device == at_once
