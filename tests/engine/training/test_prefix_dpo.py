"""DPO on shared prefixes against TRL's own DPOTrainer, on the same triples."""

import pytest

from tests.tiny_model import build_tiny_model

pytestmark = pytest.mark.engine

WORDS = "the sea and the wind in winter a city on the Seine how many people live there".split()


def say(role, n, salt):
    return {"role": role, "content": " ".join(WORDS[(salt + i) % len(WORDS)] for i in range(n))}


def triples(sizes):
    """Pairs of multi-turn prompts: as many negatives for each prompt as ``sizes`` says."""
    pairs = []
    for number, negatives in enumerate(sizes):
        prompt = [
            say("user" if turn % 2 == 0 else "assistant", 3 + (number + turn) % 7, number + turn)
            for turn in range(1 + 2 * (number % 4))
        ]
        chosen = [say("assistant", 6 + number % 5, number)]
        for k in range(negatives):
            rejected = [say("assistant", 2 + (3 * k + number) % 11, number + k + 5)]
            pairs.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    return pairs


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The tiny model, with an SFT-like detour: weights that aren't those of a fresh random one."""
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


def config(folder, **options):
    from trl import DPOConfig

    chosen = {
        "output_dir": str(folder),
        "max_length": 128,
        "precompute_ref_log_probs": True,
        "gradient_checkpointing": False,
        "bf16": False,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "model_init_kwargs": {"dtype": "float32"},
    }
    return DPOConfig(**chosen | options)


def build(kind, model, folder, pairs, heldout=None, peft=None, **options):
    """TRL's trainer ("trl"), ours on trees ("trees") or ours on pairs ("pairs")."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import DPOTrainer

    from parrot_core.training.cpu_head import labelled_positions_only
    from parrot_core.training.prefix_dpo import PrefixSharingDPOTrainer

    common = {
        "model": str(model),
        "args": config(folder / kind, **options),
        "train_dataset": Dataset.from_list(pairs),
        "eval_dataset": Dataset.from_list(heldout) if heldout else None,
        "processing_class": AutoTokenizer.from_pretrained(model),
        "peft_config": peft,
    }
    if kind == "trl":
        return DPOTrainer(**common)
    with labelled_positions_only():
        return PrefixSharingDPOTrainer(share_prefix=kind == "trees", **common)


def off_reference(trainer):
    """Move the policy a little off the reference, the same way for each trainer."""
    import torch

    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for _, weight in sorted(trainer.model.named_parameters()):
            weight.add_(0.02 * torch.randn(weight.shape, generator=generator))


def loss_and_gradients(trainer):
    """Of all training pairs as one batch; with the metrics under TRL's names."""
    trainer.model.train()
    data = trainer._remove_unused_columns(trainer.train_dataset)
    batch = trainer.data_collator([data[i] for i in range(len(data))])
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    metrics = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    gradients = {n: p.grad for n, p in trainer.model.named_parameters() if p.requires_grad}
    return loss.item(), gradients, metrics


@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ((3, 1, 2, 3), {}),
        ((1, 1), {}),
        ((2, 3), {"max_length": 24}),  # TRL's own truncation of answers
        ((3, 3), {"loss_type": ["ipo"], "ld_alpha": 0.5}),
        ((3, 2), {"gradient_checkpointing": True}),
    ],
)
def test_loss_gradients_and_metrics_are_trls(tmp_path, model, sizes, options):
    import torch

    found = {}
    for kind in ("trl", "trees"):
        trainer = build(kind, model, tmp_path, triples(sizes), **options)
        off_reference(trainer)
        found[kind] = loss_and_gradients(trainer)
    (loss, gradients, metrics), (our_loss, our_gradients, our_metrics) = found.values()
    assert our_loss == pytest.approx(loss, rel=1e-6)
    assert our_gradients.keys() == gradients.keys()
    for name, theirs in gradients.items():
        difference = (our_gradients[name] - theirs).abs().max() / theirs.abs().max()
        assert difference < 1e-5, (name, difference)
    computed, as_pairs = our_metrics.pop("num_tokens"), metrics.pop("num_tokens")
    assert computed < as_pairs
    assert our_metrics == pytest.approx(metrics, rel=1e-4, abs=1e-6)
    assert all(torch.isfinite(g).all() for g in our_gradients.values())
