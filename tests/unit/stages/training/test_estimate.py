"""Memory and time of trainings, against values computed by hand."""

import json

import pytest

from parrot_core.recipe import Devices, Lora, TrainDpo, TrainSft
from parrot_core.stages.training.estimate import (
    Shape,
    activation_bytes,
    flops_of,
    hours_of,
    memory_of,
    tokens_of_pair,
)
from parrot_core.stages.training.shapes import KNOWN, parse_shape, shape_of
from tests.support.lakes.stage_work import FakeWork, small_recipe

LLAMA_13B = KNOWN["meta-llama/Llama-2-13b-hf"]
N = 13_015_864_320  # as the published checkpoint has
SMOLLM2 = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}


def paper(strategy="fsdp", **settings):
    chosen = {
        "per_device_batch_size": 4,
        "max_length": 4096,
        "gradient_checkpointing": True,
        "devices": Devices(processes=8, strategy=strategy),
    }
    return TrainSft(base="x", **chosen | settings)


def test_parameters_are_those_of_the_published_checkpoints():
    assert LLAMA_13B.parameters == N
    assert KNOWN["meta-llama/Llama-2-7b-hf"].parameters == 6_738_415_616
    assert KNOWN["meta-llama/Llama-2-70b-hf"].parameters == 68_976_648_192
    assert KNOWN["meta-llama/Meta-Llama-3-8B"].parameters == 8_030_261_248
    assert parse_shape(SMOLLM2).parameters == 134_515_008


def test_a_shape_is_read_from_a_config_that_was_saved(tmp_path):
    from tests.support.training.tiny_model import build_tiny_model

    folder = build_tiny_model(tmp_path)
    shape = parse_shape(json.loads((folder / "config.json").read_text()))
    from safetensors.numpy import load_file

    saved = load_file(folder / "model.safetensors")
    assert shape.parameters == sum(weights.size for weights in saved.values())


@pytest.mark.parametrize(
    ("strategy", "weights", "gradients", "optimiser"),
    [  # bytes a parameter on one of eight devices: ZeRO, §5
        ("ddp", 4, 4, 8),
        ("deepspeed-zero2", 4, 0.5, 1),
        ("deepspeed-zero3", 0.5, 0.5, 1),
        ("fsdp", 0.5, 0.5, 1),
    ],
)
def test_states_are_shared_as_the_strategy_does(strategy, weights, gradients, optimiser):
    memory = memory_of(paper(strategy), LLAMA_13B, 0)
    assert memory.parameters == weights * N
    assert memory.gradients == gradients * N
    assert memory.optimiser == optimiser * N


def test_thirteen_billion_on_eight_gpus_by_hand():
    """26.03 GB of states, 3.21 GB gathered, 6.71 GB kept inputs and 3.15 GB of one layer."""
    memory = memory_of(paper(), LLAMA_13B, 3e9)
    layer = 4 * 5120**2 + 3 * 5120 * 13824 + 2 * 5120
    embeddings_and_head = 2 * 32000 * 5120
    assert memory.working_copies == (3 * layer + 2 * embeddings_and_head) * 2
    tokens = 4 * 4096
    kept = 40 * tokens * 5120 * 2
    again = tokens * 2 * (4 * 5120 + 4 * 5120 + 4 * 13824)
    assert memory.activations == kept + again
    assert memory.total == pytest.approx(16 * N / 8 + 3.214e9 + 6.711e9 + 3.154e9 + 3e9, rel=1e-3)
    assert memory.total < 80e9


def test_without_checkpointing_every_layer_keeps_its_activations():
    one = activation_bytes(paper(per_device_batch_size=1, max_length=100), LLAMA_13B)
    whole = activation_bytes(
        paper(per_device_batch_size=1, max_length=100, gradient_checkpointing=False), LLAMA_13B
    )
    layer = 100 * 2 * (8 * 5120 + 4 * 13824)
    assert whole == 40 * layer
    assert one == 40 * 100 * 5120 * 2 + layer


def test_a_pair_is_two_sequences():
    settings = {"per_device_batch_size": 1, "max_length": 100}
    pair = activation_bytes(TrainDpo(**settings, share_prefix=False), LLAMA_13B)
    assert pair == 2 * activation_bytes(TrainSft(base="x", **settings), LLAMA_13B)


PER_TOKEN = 40 * 2 * (8 * 5120 + 4 * 13824)
"""Bytes of activations a token, all layers kept."""


@pytest.mark.parametrize(
    ("pairs_a_step", "at_once", "trees", "pairs"),
    [  # pairs of a step on 8 devices, queries a device at once
        (24, 1, 1, 3),
        (48, 2, 2, 6),
        (32, 4, 2, 4),  # 4 pairs a device: the last three of a query and one of the next
        (16, 4, 2, 2),
        (8, 4, 1, 1),
    ],
)
def test_pairs_that_share_a_prefix_are_trees(pairs_a_step, at_once, trees, pairs):
    """A tree is one sequence of 100 tokens with its longest answer, and 20 more for each pair."""
    settings = TrainDpo(
        batch_size=pairs_a_step,
        per_device_batch_size=at_once,
        max_length=100,
        devices=Devices(processes=8),
    )
    tokens = trees * 100 + pairs * 20
    mask = trees * (100 + min(pairs, 3) * 20) ** 2
    assert activation_bytes(settings, LLAMA_13B, 20) == tokens * PER_TOKEN + mask


def test_sharing_a_prefix_never_takes_more_than_the_same_pairs_apart():
    settings = {"batch_size": 3, "max_length": 1000, "devices": Devices(processes=1)}
    shared = activation_bytes(TrainDpo(**settings, per_device_batch_size=1), LLAMA_13B, 100)
    apart = TrainDpo(**settings, per_device_batch_size=3, share_prefix=False)
    assert shared < 0.25 * activation_bytes(apart, LLAMA_13B)
    unbounded = activation_bytes(TrainDpo(**settings, per_device_batch_size=1), LLAMA_13B)
    assert shared < unbounded < activation_bytes(apart, LLAMA_13B)


def test_tokens_of_a_pair_are_its_own_answer_and_its_share_of_the_rest():
    whole_queries = TrainDpo(batch_size=24, per_device_batch_size=4)
    assert tokens_of_pair(whole_queries, 1000, 100) == pytest.approx(1000 / 3 + 100)
    assert tokens_of_pair(TrainDpo(share_prefix=False), 1000, 100) == 2000
    assert tokens_of_pair(TrainDpo(strategies=("neglect",)), 1000, 100) == 1100


@pytest.mark.parametrize(
    ("pairs_a_step", "at_once", "processes", "histories"),
    [  # histories computed for so many pairs, counted by hand: | is where a device's take ends
        (32, 1, 8, (4, 6)),  # paper.yaml: aa|ab|bb
        (32, 4, 8, (6, 12)),  # aaab|bbcc|cddd
        (8, 1, 8, (3, 3)),  # a|a|a
        (24, 1, 8, (1, 3)),  # aaa
        (32, 4, 1, (10, 24)),  # aaabbbcc|cdddeeef|ffggghhh
    ],
)
def test_a_query_that_two_takes_divide_has_its_history_computed_twice(
    pairs_a_step, at_once, processes, histories
):
    settings = TrainDpo(
        batch_size=pairs_a_step,
        per_device_batch_size=at_once,
        devices=Devices(processes=processes),
    )
    computed, pairs = histories
    assert tokens_of_pair(settings, 1000, 100) == pytest.approx(1000 * computed / pairs + 100)


def test_lora_has_gradients_and_moments_of_its_adapters_alone():
    adapters = 16 * 40 * (4 * 2 * 5120 + 3 * (5120 + 13824))
    assert LLAMA_13B.adapter_parameters(16) == adapters
    memory = memory_of(paper("ddp", lora=Lora(r=16)), LLAMA_13B, 0)
    assert memory.parameters == 4 * N + 4 * adapters
    assert memory.gradients == 4 * adapters
    assert memory.optimiser == 8 * adapters


def test_six_operations_a_parameter_and_token():
    assert flops_of(paper(), LLAMA_13B, 1e9) == 6 * N * 1e9
    assert flops_of(paper(lora=Lora()), LLAMA_13B, 1e9) == 4 * N * 1e9
    assert flops_of(TrainDpo(epochs=2), LLAMA_13B, 1e9) == 7 * N * 1e9


def test_hours_at_a_share_of_the_peak():
    # 6 × 13.016e9 × 1e9 / (8 × 312e12 × 0.4) = 78,223 s
    assert hours_of(6 * N * 1e9, 8, 312e12, 0.4) == pytest.approx(21.729, abs=0.01)


@pytest.mark.parametrize(
    ("name", "gpu_hours"),
    [("Llama-2-7b-hf", 184_320), ("Llama-2-13b-hf", 368_640), ("Llama-2-70b-hf", 1_720_320)],
)
def test_the_time_is_what_meta_says_llama_2_took(name, gpu_hours):
    """Touvron et al. 2023, Table 2: GPU hours of A100s for 2 T tokens."""
    shape = KNOWN[f"meta-llama/{name}"]
    hours = hours_of(flops_of(paper(), shape, 2e12), 1, 312e12, 0.4)
    assert hours == pytest.approx(gpu_hours, rel=0.08)


@pytest.mark.parametrize(("strategy", "gigabytes"), [("ddp", 120), ("fsdp", 1.9)])
def test_states_are_those_of_zeros_first_figure(strategy, gigabytes):
    """Rajbhandari et al. 2020, Figure 1: 7.5 billion parameters on 64 devices."""
    devices = Devices(processes=64, strategy=strategy)
    memory = memory_of(paper(batch_size=64, devices=devices), LLAMA_13B, 0)
    states = memory.parameters + memory.gradients + memory.optimiser
    assert states * 7.5 / (N / 1e9) == pytest.approx(gigabytes * 1e9, rel=0.02)


def test_ddp_copies_its_gradients_into_buckets():
    memory = memory_of(paper("ddp"), LLAMA_13B, 0)
    assert memory.working_copies == (2 + 4) * N
    alone = memory_of(paper(devices=Devices()), LLAMA_13B, 0)
    assert alone.working_copies == 2 * N


def test_grouped_queries_and_a_head_of_its_own_width_are_counted():
    shape = Shape(1, 8, 16, 10, heads=4, kv_heads=2, head=4)
    assert shape.layer_parameters == 8 * 16 + 2 * 8 * 8 + 16 * 8 + 3 * 8 * 16 + 2 * 8


def test_a_model_of_this_run_has_the_shape_of_the_one_it_will_be_trained_from(tmp_path):
    recipe = small_recipe(train_sft={"base": "meta-llama/Llama-2-13b-hf"})
    run = FakeWork(recipe, tmp_path).run
    assert shape_of("lake:parrot-chat", run) == LLAMA_13B
    assert shape_of("nobody/knows-this", run) is None
    assert shape_of("package://no-such-thing/model.gguf", run) is None


def test_another_kind_of_model_has_no_shape_here():
    assert parse_shape({"n_embd": 768, "n_layer": 12}) is None
