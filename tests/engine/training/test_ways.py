"""The ways a training can run and end: a killed process, LoRA, out of memory."""

import pytest

from parrot_core.errors import TrainingFailed
from parrot_core.recipe import Devices, Lora
from parrot_core.stages.training.launch import run_training
from tests.support.training.tiny_model import build_tiny_model
from tests.support.training.varied_jobs import varied_job

pytestmark = pytest.mark.engine

HEAD = "import os, signal, sys, torch, transformers.trainer as t\n"
TAIL = "\nfrom parrot_core.stages.training import worker\nsys.exit(worker.main(sys.argv[1:]))\n"
NO_MEMORY = "def step(*a, **o): torch.empty(10**15)\nt.Trainer.training_step = step"
ONE_IS_KILLED = """
inner = t.Trainer.training_step
def step(self, *arguments, **options):
    if self.state.global_step == 2 and os.environ['RANK'] == '1': os.kill(os.getpid(), 9)
    return inner(self, *arguments, **options)
t.Trainer.training_step = step
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


def program(folder, script):
    path = folder / "program.py"
    path.write_text(HEAD + script + TAIL)
    return (str(path),)


def test_a_process_of_two_that_the_kernel_kills_is_named(tmp_path, model):
    job = varied_job(tmp_path / "job", model, devices=Devices(processes=2), eval_examples=0)
    job.heldout_file.write_text("")
    with pytest.raises(TrainingFailed, match=r"was killed \(process 1\), most likely") as caught:
        run_training(job, lambda line: None, worker=program(tmp_path, ONE_IS_KILLED))
    assert "\n" not in str(caught.value)


def test_a_host_without_memory_says_what_to_change(tmp_path, model):
    job = varied_job(tmp_path / "job", model)
    job.heldout_file.write_text("")
    with pytest.raises(TrainingFailed, match="ran out of memory: lower per_device_batch_size"):
        run_training(job, lambda line: None, worker=program(tmp_path, NO_MEMORY))


@pytest.mark.parametrize("sharded", [False, True])
def test_a_lora_is_merged_so_that_the_published_folder_loads_plain(
    tmp_path, model, monkeypatch, sharded
):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from parrot_core.stages.training import worker
    from parrot_core.stages.training.examples import prepare_tokenizer, read_examples
    from parrot_core.stages.training.schedule import Schedule
    from parrot_core.stages.training.trainers import make_trainer

    monkeypatch.setattr(worker, "SHARD_SIZE", "100KB")
    job = varied_job(tmp_path / "job", model, lora=Lora(r=4, alpha=64), max_steps=4)
    tokenizer = AutoTokenizer.from_pretrained(model)
    markup = prepare_tokenizer(job, tokenizer)
    examples, _ = read_examples(job, job.train_file, tokenizer, markup)
    schedule = Schedule.of(job.settings, len(examples), 1)
    trainer = make_trainer(job, tokenizer, examples, [], schedule, [])
    trainer.train()
    ids = torch.tensor([tokenizer("What is the capital of France?")["input_ids"]])

    def logits(network):
        with torch.no_grad():
            return network.eval()(input_ids=ids).logits

    with_adapter = logits(trainer.model)
    if sharded:  # gathering shards needs GPUs; what is done with them afterwards does not
        trainer.save_model(str(job.folder / "model.gathered"))
        trainer.is_fsdp_enabled, trainer.save_model = True, lambda folder: None
    worker._save(job, trainer, tokenizer, markup, torch.float32)
    published = AutoModelForCausalLM.from_pretrained(job.model_folder, dtype=torch.float32)
    torch.testing.assert_close(logits(published), with_adapter, rtol=1e-4, atol=1e-4)
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    assert (logits(base) - with_adapter).abs().max() > 1e-2
    assert not (job.folder / "model.gathered").exists()
    names = {path.name for path in job.model_folder.iterdir()}
    assert not any("adapter" in name for name in names)
    assert "model.safetensors.index.json" in names  # sharded, as a large model is
    assert {"chat_template.jinja", "tokenizer.json", "config.json"} <= names
