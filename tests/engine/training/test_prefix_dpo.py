"""DPO on shared prefixes against TRL's own DPOTrainer, on the same triples."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.training.tiny_model import build_tiny_model

pytestmark = pytest.mark.engine

WORDS = ("sea", "wind", "in winter", "a city", "on the Seine", "how many", "people", "live there")


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
        "max_length": 512,
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

    from parrot_core.stages.training.cpu_head import labelled_positions_only
    from parrot_core.stages.training.prefix_dpo import PrefixSharingDPOTrainer

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


tokens = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@settings(deadline=None)  # the first example imports TRL
@given(st.lists(st.tuples(st.sampled_from([0, 1]), tokens, tokens), min_size=1, max_size=5))
def test_each_answer_sees_its_prompt_and_itself_at_the_positions_of_a_plain_sequence(drawn):
    """Whatever is asked of the trees is compared with the sequences that TRL would compute."""
    from parrot_core.stages.training.prefix_trees import PrefixTreeCollator, tree_mask

    prompts = ([1, 2, 3], [4])
    pairs = [
        {"prompt_ids": prompts[p], "chosen_ids": chosen, "rejected_ids": rejected}
        for p, chosen, rejected in drawn
    ]
    batch = PrefixTreeCollator(pad_token_id=0)(pairs)
    sees = tree_mask(batch["tree_segments"])[:, 0]
    width = batch["tree_ids"].shape[1]
    for row, pair in enumerate(pairs * 2):
        answer = pair["chosen_ids" if row < len(pairs) else "rejected_ids"]
        places = [place for place in batch["tree_index"][row].tolist() if place >= 0]
        assert len(places) == len(answer)
        for number, place in enumerate(places):
            tree, position = divmod(place, width)
            seen = sees[tree, position].nonzero().squeeze(1)
            sequence = pair["prompt_ids"] + answer[:number]
            assert batch["tree_ids"][tree, seen].tolist() == sequence
            assert batch["tree_positions"][tree, seen].tolist() == list(range(len(sequence)))
            assert batch["tree_labels"][tree, position] == answer[number]
    branches = {(p, tuple(answer)) for p, *answers in drawn for answer in answers}
    shared = sum(len(prompts[p]) - 1 for p in {p for p, *_ in drawn})
    assert batch["attention_mask"].sum() == shared + sum(len(answer) for _, answer in branches)


@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ((3, 1, 2, 3), {}),
        ((1, 1), {}),
        ((2, 3, 1), {"max_length": 64}),  # TRL's own truncation of answers
        ((3, 3), {"loss_type": ["ipo"], "ld_alpha": 0.5}),
        ((3, 2), {"gradient_checkpointing": True}),
    ],
)
def test_loss_gradients_and_metrics_are_trls(tmp_path, model, sizes, options):
    import torch

    found = {}
    for kind in ("trl", "trees"):
        trainer = build(kind, model, tmp_path, triples(sizes), **options)
        assert options.get("max_length") or len(trainer.train_dataset) == sum(sizes)
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


def test_held_out_figures_are_trls_and_their_interval_holds_the_mean(tmp_path, model):
    from parrot_core.stages.training.heldout import measure

    heldout = triples((3, 1, 2, 3))
    found = {}
    for kind in ("trl", "trees", "pairs"):
        size = 1 if kind == "trl" else 4  # TRL's metrics are means over batches
        trainer = build(kind, model, tmp_path, heldout, heldout, per_device_eval_batch_size=size)
        off_reference(trainer)
        found[kind] = trainer.evaluate() if kind == "trl" else measure(trainer)
    theirs = found["trl"]
    for ours in (found["trees"], found["pairs"]):
        assert ours["loss"] == pytest.approx(theirs["eval_loss"], rel=1e-5)
        assert ours["margin"] == pytest.approx(theirs["eval_rewards/margins"], rel=1e-4)
        assert ours["accuracy"] == pytest.approx(theirs["eval_rewards/accuracies"])
        assert ours["margin_low"] < ours["margin"] < ours["margin_high"]
        assert (ours["pairs"], ours["queries"]) == (9, 4)


def test_a_step_is_the_mean_over_its_pairs_however_they_fall_into_batches(tmp_path, model):
    """8 pairs in one step: TRL takes them at once, ours as 3 + 3 + 2."""
    import torch

    found = []
    for kind, at_once, batches in (("trl", 8, 1), ("trees", 3, 3), ("trees", 8, 1)):
        trainer = build(
            kind,
            model,
            tmp_path / str(at_once),
            triples((3, 2, 3)),
            per_device_train_batch_size=at_once,
            gradient_accumulation_steps=batches,
            max_steps=4,
            optim="sgd",  # which follows the gradient, not its sign
            learning_rate=0.1,
        )
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        found.append((losses, dict(trainer.model.named_parameters())))
    losses, weights = found[0]
    assert losses[-1] < losses[0]
    for our_losses, our_weights in found[1:]:
        assert our_losses == pytest.approx(losses, rel=1e-4)
        for name, weight in weights.items():
            torch.testing.assert_close(our_weights[name], weight, rtol=1e-4, atol=1e-6)


def test_lora_has_the_base_model_as_its_reference_and_trls_gradients(tmp_path, model):
    from peft import LoraConfig

    found = {}
    for kind in ("trl", "trees"):
        peft = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
        trainer = build(kind, model, tmp_path, triples((3, 2)), peft=peft)
        off_reference_adapter(trainer)
        found[kind] = loss_and_gradients(trainer)
    (loss, gradients, _), (our_loss, our_gradients, _) = found.values()
    assert our_loss == pytest.approx(loss, rel=1e-6)
    assert our_loss != pytest.approx(0.6931, abs=1e-3)
    for name, theirs in gradients.items():
        assert (our_gradients[name] - theirs).abs().max() < 1e-5 * theirs.abs().max()


def off_reference_adapter(trainer):
    import torch

    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, weight in sorted(trainer.model.named_parameters()):
            if weight.requires_grad:
                assert "lora" in name
                weight.add_(0.1 * torch.randn(weight.shape, generator=generator))


def test_reference_log_probabilities_are_computed_once_even_across_processes(
    tmp_path, model, monkeypatch
):
    from parrot_core.stages.training.prefix_dpo import PrefixSharingDPOTrainer

    first = build("trees", model, tmp_path, triples((3, 1)), triples((2,)))
    monkeypatch.setattr(PrefixSharingDPOTrainer, "compute_ref_log_probs", None)
    again = build("trees", model, tmp_path, triples((3, 1)), triples((2,)))
    for data in ("train_dataset", "eval_dataset"):
        for name in ("ref_chosen_logps", "ref_rejected_logps"):
            assert getattr(again, data)[name] == getattr(first, data)[name]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"_attn_implementation": "flash_attention_2"}, "attention is 'flash_attention_2'"),
        ({"attention_dropout": 0.1}, r"drops out \(0.1\)"),
        ({"sliding_window": 64}, r"whole past \(64\)"),
        ({"layer_types": ["full_attention", "linear_attention"]}, r"\(linear_attention\)"),
    ],
)
def test_a_model_that_would_not_heed_the_mask_is_refused(tmp_path, model, change, why):
    from transformers import AutoConfig

    from parrot_core.errors import TrainingFailed
    from parrot_core.stages.training.prefix_dpo import _check

    found = AutoConfig.from_pretrained(model)
    found._attn_implementation = "sdpa"
    _check(found)
    for name, value in change.items():
        setattr(found, name, value)
    with pytest.raises(TrainingFailed, match=why + ".*share_prefix: false"):
        _check(found)
