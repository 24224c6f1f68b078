from hypothesis import given
from hypothesis import strategies as st

from parrot_core.execution.runs import begin_run
from parrot_core.stages.training.summary import downsampled, training_summary
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import ToyModelStage, drive


@given(st.integers(1, 2000), st.integers(2, 300))
def test_a_long_curve_keeps_its_ends_and_its_order(length, points):
    curve = [{"step": n} for n in range(length)]
    kept = [point["step"] for point in downsampled(curve, points)]
    assert len(kept) == min(length, points)
    assert (kept[0], kept[-1]) == (0, length - 1)
    assert kept == sorted(set(kept))


def test_a_training_is_told_in_two_tables(tmp_path):
    manifest = drive(begin_run(minimal_recipe(str(tmp_path))), ToyModelStage())
    curve = [{"step": n, "loss": 3 - n / 100, "tokens_per_s": 12345.6} for n in range(1, 101)]
    metrics = {"heldout": {"before": {"loss": 3.0}, "after": {"loss": 2.0}}, "curve": curve}
    text = training_summary(manifest.model_copy(update={"metrics": metrics}))
    assert "| loss | 3 | 2 |" in text
    assert "| step | loss | tokens/s |" in text
    assert "| 1 | 2.99 | 12,346 |" in text
    assert text.splitlines()[-1] == "| 100 | 2 | 12,346 |"
    assert text.count("\n| ") < 30
    assert training_summary(manifest) == f"### {manifest.name}@{manifest.version}"
