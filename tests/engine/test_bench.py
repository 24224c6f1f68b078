"""Benchmarks run from end to end, with next to nothing to do."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]


def test_the_benchmark_of_the_loop_runs_and_loses_no_dialogue() -> None:
    size = ["--sessions=6", "--turns=3", "--latency-s=0.1", "--concurrency=4", "--json"]
    done = subprocess.run(
        [sys.executable, "bench/loop.py", *size],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    ours = {r["behaviour"]: r for r in results if r["script"] == "run_parrot.py"}
    assert set(ours) == {"fixed", "fixed, faults", "long tail", "long tail, faults"}
    assert ours["fixed"]["dialogues"] == 6
    assert ours["fixed"]["requests"] == 6 * 5 + 2  # each engine is asked a word before the stage
    assert all(result["duplicates"] == 0 for result in ours.values())


def test_the_gpu_benchmark_measures_every_row_on_a_cpu_too() -> None:
    done = subprocess.run(
        [sys.executable, "bench/gpu.py", "--size=toy", "--seconds=0.1"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    _, _, header, rule, *rows = done.stdout.splitlines()
    assert {line.count("|") for line in (header, rule, *rows)} == {9}
    assert [row.split(" | ")[0] for row in rows] == [
        "| SFT, plain loop",
        "| DPO, TRL, padded",
        "| DPO, pairs packed",
        "| DPO, shared prefixes",
    ]
    assert "not measured" not in done.stdout


def test_packed_pairs_have_the_likelihoods_of_padded_ones() -> None:
    import torch
    from trl.trainer.dpo_trainer import DataCollatorForPreference
    from trl.trainer.utils import add_fused_lm_head

    from parrot_core.stages.training.prefix_trees import AsPairs

    gpu = _script("gpu")
    torch.manual_seed(0)
    model = gpu.random_model(gpu.SIZES["toy"])
    add_fused_lm_head(model)
    examples = [
        {"prompt_ids": [3, 4, 5 + n], "chosen_ids": [9, 10, 2], "rejected_ids": [20 + n] * (n + 1)}
        for n in range(3)
    ]
    padded = DataCollatorForPreference(pad_token_id=0)
    found = []
    for collator in (padded, gpu.packed(padded)):
        view = AsPairs(model)
        batch = collator(examples)
        labels = batch["input_ids"].masked_fill(batch.pop("completion_mask") == 0, -100)
        with torch.no_grad():
            view(labels=labels, fused_lm_head=True, use_cache=False, **batch)
        found.append(view.logps)
    assert torch.allclose(found[0], found[1], atol=1e-4)


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_{name}", ROOT / "bench" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
