"""DPO as the training process runs it: killed, resumed, shared by processes, short of room."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from parrot_core.models.references import child_environment
from parrot_core.recipe import TrainDpo
from parrot_core.stages.training.job import TrainingJob
from parrot_core.stages.training.launch import run_training
from tests.support.servers.ports import free_port
from tests.support.training.tiny_model import build_tiny_model

pytestmark = pytest.mark.engine

HISTORY = [
    {"role": "user", "content": "What is the capital of France?"},
    {"role": "assistant", "content": "The capital of France is Paris."},
]
CHOSEN = [{"role": "assistant", "content": "There are two million people."}]
REJECTED = ("Please write a poem about the sea.", "Paris.", "In winter it is colder, and the wind.")
CHILD = Path(__file__).parents[2] / "support" / "training" / "dpo_child.py"


def pairs(queries, history=HISTORY, negatives=REJECTED):
    return [
        {
            "prompt": [*history, {"role": "user", "content": f"And number {n}?"}],
            "chosen": CHOSEN,
            "rejected": [{"role": "assistant", "content": text}],
        }
        for n in queries
        for text in negatives
    ]


def dpo_job(folder: Path, model, train, heldout, **settings) -> TrainingJob:
    folder.mkdir(parents=True)
    chosen = {
        "max_length": 96,
        "max_steps": 24,
        "epochs": 20,
        "batch_size": 6,
        "learning_rate": 1e-3,
        "save_steps": 4,
        "precision": "fp32",
    }
    job = TrainingJob(
        kind="dpo",
        model=str(model),
        folder=folder,
        settings=TrainDpo(**chosen | settings),
        seed=3,
        data_sha256="same",
    )
    for path, rows in ((job.train_file, train), (job.heldout_file, heldout)):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return job


def weights(job: TrainingJob):
    return load_file(job.model_folder / "model.safetensors")


def apart(mine, theirs) -> float:
    """The largest distance between two models' weights."""
    assert mine.keys() == theirs.keys()
    return max(float((mine[name] - theirs[name]).abs().max()) for name in mine)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, model):
    """24 steps of 6 of 24 pairs: six epochs, with a checkpoint in the middle of each."""
    folder = tmp_path_factory.mktemp("dpo") / "job"
    job = dpo_job(folder, model, pairs(range(8)), pairs(range(8, 12)), per_device_batch_size=2)
    lines = []
    return job, run_training(job, lines.append), lines


def test_the_margin_widens_on_queries_it_has_not_seen_beyond_its_interval(trained):
    _, figures, lines = trained
    before, after = figures["heldout"]["before"], figures["heldout"]["after"]
    assert before["margin"] == pytest.approx(0, abs=1e-3)
    assert after["margin_low"] > 0.1
    assert after["accuracy"] == 1
    assert (after["pairs"], after["queries"]) == (12, 4)
    steps = [line for line in lines if "loss" in line]
    names = {"rewards/margins", "rewards/accuracies", "rewards/chosen", "rewards/rejected"}
    assert names | {"learning_rate", "tokens_per_s"} <= steps[-1].keys()


def untimed(curve):
    """A curve without what depends on how busy the machine is."""
    return [{name: v for name, v in point.items() if name != "tokens_per_s"} for point in curve]


def test_a_killed_training_goes_on_to_the_same_weights_and_the_same_reference(
    trained, tmp_path, model
):
    class KilledError(Exception):
        pass

    def kill(line):
        if line.get("step", 0) > 6:
            raise KilledError

    unbroken, figures, _ = trained
    job = dpo_job(
        tmp_path / "job", model, pairs(range(8)), pairs(range(8, 12)), per_device_batch_size=2
    )
    with pytest.raises(KilledError):
        run_training(job, kill, sleep=lambda _: time.sleep(0.005))
    kept = {path: path.stat().st_mtime_ns for path in job.checkpoints.glob("reference-*/cache-*")}
    assert len(kept) == 2  # of the training pairs, and of the held-out ones
    lines = []

    def watch(line):
        if line.get("phase") == "training":
            assert {path: path.stat().st_mtime_ns for path in kept} == kept
        lines.append(line)

    resumed = run_training(job, watch)
    assert next(line for line in lines if "step" in line)["step"] >= 4
    assert untimed(resumed["curve"]) == untimed(figures["curve"])
    assert resumed["heldout"] == figures["heldout"]
    assert apart(weights(job), weights(unbroken)) == 0


@pytest.mark.parametrize("settings", [{"share_prefix": False}, {"per_device_batch_size": 1}])
def test_how_the_work_is_divided_changes_nothing_but_rounding(trained, tmp_path, model, settings):
    _, figures, _ = trained
    job = dpo_job(tmp_path / "job", model, pairs(range(8)), pairs(range(8, 12)), **settings)
    divided = run_training(job, lambda line: None)
    losses, others = ([point["loss"] for point in f["curve"]] for f in (figures, divided))
    assert others == pytest.approx(losses, rel=1e-3)
    margins = (f["heldout"]["after"]["margin"] for f in (divided, figures))
    assert next(margins) == pytest.approx(next(margins), rel=1e-3)


def test_two_processes_take_the_steps_of_one(tmp_path, model):
    """12 pairs in queries of 1 to 3: two epochs of three steps of 4 pairs."""
    rows = [row for n in range(6) for row in pairs([n], negatives=REJECTED[: 1 + n % 3])][:12]
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    found = []
    for processes, at_once, batches in ((1, 4, 1), (2, 2, 1), (2, 1, 2)):
        folder = tmp_path / f"{processes}-{at_once}"
        launcher = ["-m", "torch.distributed.run", f"--nproc_per_node={processes}"]
        command = [sys.executable, *launcher, f"--master_port={free_port()}", str(CHILD)]
        command += [str(model), str(tmp_path / "pairs.json"), str(folder)]
        command += [str(at_once), str(batches)]
        done = subprocess.run(command, env=child_environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        losses = json.loads((folder / "losses.json").read_text())
        found.append((losses, load_file(folder / "model.safetensors")))
    (losses, alone), *others = found
    assert losses[-1] < losses[0]
    for shared_losses, shared in others:
        assert shared_losses == pytest.approx(losses, rel=1e-4)
        assert apart(shared, alone) < 1e-5


def test_long_histories_lose_their_oldest_turns_and_a_querys_pairs_still_share_one_prompt(
    tmp_path, model
):
    from transformers import AutoTokenizer

    from parrot_core.stages.training.examples import prepare_tokenizer, read_examples, token_length

    history = [
        {"role": role, "content": f"How many people live in city {n}?"}
        for n in range(9)
        for role in ("user", "assistant")
    ]
    longer = (*REJECTED, "The wind is cold. " * 9)
    rows = pairs(range(2), history, longer) + pairs([3], history, ("word " * 400,))
    job = dpo_job(tmp_path / "job", model, rows, [], max_length=256)
    tokenizer = AutoTokenizer.from_pretrained(model)
    markup = prepare_tokenizer(job, tokenizer)
    kept, tally = read_examples(job, job.train_file, tokenizer, markup)
    assert tally.as_json()["dropped"] == {"too_long": 1}
    assert (tally.used, tally.clipped) == (8, 8)
    length = token_length(tokenizer)
    for example in kept:
        assert length([*example["prompt"], *example["chosen"]]) <= 256
        assert length([*example["prompt"], *example["rejected"]]) <= 256
        assert example["prompt"][-1]["content"].startswith("And number")
        assert example["chosen"] == CHOSEN
    for query in (kept[:4], kept[4:]):
        assert all(example["prompt"] == query[0]["prompt"] for example in query)
    assert [example["rejected"] for example in kept] == [row["rejected"] for row in rows[:8]]
