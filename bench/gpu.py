"""Training on one GPU: SFT's tokens a second, model-FLOPs utilisation, DPO against TRL's, memory.

For a bare machine without a network: torch, transformers and accelerate, and TRL (with what it
imports) on PYTHONPATH; weights and texts are made at random. About eight minutes.

    PYTHONPATH=.:carried python bench/gpu.py              # the 1B model on a GPU
    PYTHONPATH=. python bench/gpu.py --size toy --seconds 1   # the same code on any CPU

Prints one table. What can't run here is in it with the reason.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

WORDS = 2000
WARM_UP = 2  # steps that aren't timed
PEAK_TFLOPS = {  # dense bf16, by the name that CUDA gives the device
    "B200": 2250,
    "H200": 989,
    "H100": 989,
    "A100": 312,
    "L40S": 362,
    "A10G": 70,
    "4090": 165,
}


@dataclass(frozen=True, slots=True)
class Size:
    """A model of random weights, and how much of it is trained on at once."""

    layers: int
    hidden: int
    mlp: int
    heads: int
    kv_heads: int
    vocabulary: int
    length: int  # tokens of an SFT sequence
    sequences: int  # in an SFT step
    turns: int  # of a preference's history
    words: int  # of a message, about
    queries: int  # in a DPO step, with three pairs each


SIZES = {
    "toy": Size(2, 64, 128, 2, 2, 2600, 64, 2, 2, 6, 2),
    "135m": Size(30, 576, 1536, 9, 3, 49152, 2048, 8, 9, 70, 4),
    "1b": Size(16, 2048, 8192, 32, 8, 32000, 4096, 8, 9, 70, 4),
    "3b": Size(28, 3072, 8192, 24, 8, 32000, 4096, 4, 9, 70, 2),
}


@dataclass(slots=True)
class Measured:
    """One row of the table."""

    steps: int = 0
    seconds: float = 0.0
    tokens: int = 0  # computed, without padding
    positions: int = 0  # with it
    pairs: int = 0
    memory_gib: float | None = None
    failed: str = ""


def main() -> None:
    """Measure what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="1b")
    parser.add_argument("--seconds", type=float, default=60, help="timed, of each row")
    parser.add_argument("--peak-tflops", type=float, help="of the device, in bf16")
    parser.add_argument("--only", choices=ROWS, action="append", help="only this row; repeatable")
    told = parser.parse_args()
    size = SIZES[told.size]
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    known = next((peak for part, peak in PEAK_TFLOPS.items() if part in name), None)
    peak = told.peak_tflops or known
    print(f"{name}; torch {torch.__version__}; {told.size}: {parameters(size) / 1e6:.0f} M\n")
    print("| | steps | s a step | tokens a second | of positions | MFU | pairs a second | GiB |")
    print("|---|---|---|---|---|---|---|---|")
    for row, measure in ROWS.items():
        if told.only and row not in told.only:
            continue
        print(line(row, attempt(measure, size, told.seconds), size, peak), flush=True)


def attempt(measure: Callable[[Size, float], Measured], size: Size, seconds: float) -> Measured:
    """Measure one row; what goes wrong is its result."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    torch.manual_seed(0)
    try:
        found = measure(size, seconds)
    except (ImportError, RuntimeError, ValueError, TypeError) as error:
        return Measured(failed=f"{type(error).__name__}: {error}".splitlines()[0][:160])
    if torch.cuda.is_available():
        found.memory_gib = torch.cuda.max_memory_allocated() / 2**30
    return found


def line(row: str, found: Measured, size: Size, peak: float | None) -> str:
    """A row of the table."""
    if found.failed or not found.steps:
        return f"| {row} | not measured: {found.failed or 'no step in the time'} | | | | | | |"
    rate = found.tokens / found.seconds
    mfu = f"{rate * flops_a_token(size) / peak / 1e12:.1%}" if peak and not found.pairs else "–"
    pairs = f"{found.pairs / found.seconds:.2f}" if found.pairs else "–"
    memory = "–" if found.memory_gib is None else f"{found.memory_gib:.1f}"
    return (
        f"| {row} | {found.steps} | {found.seconds / found.steps:.3f} | {rate:,.0f} | "
        f"{found.tokens / found.positions:.0%} | {mfu} | {pairs} | {memory} |"
    )


def parameters(size: Size) -> int:
    """Without the embeddings that are only looked up; the head is one of the matrices."""
    head = size.hidden // size.heads
    attention = 2 * size.hidden * head * (size.heads + size.kv_heads)
    return size.layers * (attention + 3 * size.hidden * size.mlp) + size.hidden * size.vocabulary


def flops_a_token(size: Size) -> float:
    """Forward and backward: 6 a parameter, and causal attention over half of a sequence."""
    return 6 * parameters(size) + 6 * size.layers * size.hidden * size.length


def random_model(size: Size) -> Any:
    """A Llama of this size with random weights, in 32 bits as trainings keep them."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=size.mlp,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.kv_heads,
        max_position_embeddings=8192,
        tie_word_embeddings=False,
    )
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        return LlamaForCausalLM(config)


def random_tokenizer() -> Any:
    """Whole words as tokens, and ChatML."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    names = [*special, "user", "assistant", *(f"w{n}" for n in range(WORDS))]
    words = Tokenizer(models.WordLevel({name: n for n, name in enumerate(names)}, "<|pad|>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.add_special_tokens(special)
    template = (
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
        "{{ message['content'] + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<|pad|>",
        eos_token="<|im_end|>",
        chat_template=template,
    )


def said(role: str, words: int, rng: random.Random) -> dict[str, str]:
    """A message of about so many random words."""
    number = max(1, round(words * rng.uniform(0.5, 1.5)))
    return {"role": role, "content": " ".join(f"w{rng.randrange(WORDS)}" for _ in range(number))}


def preferences(size: Size, queries: int) -> list[dict[str, Any]]:
    """Three pairs of each query, with one history and one chosen answer, as CaPO makes them."""
    rng = random.Random(0)
    found = []
    for _ in range(queries):
        prompt = [
            said(role, words, rng)
            for _ in range(size.turns)
            for role, words in (("user", size.words // 3), ("assistant", 2 * size.words))
        ]
        prompt.append(said("user", size.words // 3, rng))
        chosen = [said("assistant", 2 * size.words, rng)]
        found += [
            {
                "prompt": prompt,
                "chosen": chosen,
                "rejected": [said("assistant", 2 * size.words, rng)],
            }
            for _ in range(3)
        ]
    return found


def sft(size: Size, seconds: float) -> Measured:
    """A plain loop: bf16 autocast over 32-bit weights, AdamW; the bound for any trainer."""
    model = random_model(size)
    model.gradient_checkpointing_enable()
    model.train()
    device = next(model.parameters()).device
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=device.type == "cuda")
    shape = (size.sequences, size.length)
    found = Measured()

    def step() -> None:
        ids = torch.randint(0, size.vocabulary, shape, device=device)
        labels = ids.masked_fill(torch.rand(shape, device=device) < 0.8, -100)  # a user's share
        with torch.autocast(device.type, dtype=torch.bfloat16):
            loss = model(input_ids=ids, labels=labels, use_cache=False).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    for began in timed(seconds, step):
        found.steps += 1
        found.seconds = time.monotonic() - began
    found.tokens = found.positions = found.steps * size.sequences * size.length
    return found


def timed(seconds: float, step: Callable[[], None]) -> Iterator[float]:
    """Take steps for so long, the warm-up not counted; yields when timing began, a step each."""
    for _ in range(WARM_UP):
        step()
    synchronise()
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        step()
        synchronise()
        yield began


def synchronise() -> None:
    """Wait for the GPU."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def dpo(contender: str) -> Callable[[Size, float], Measured]:
    """DPO by TRL's trainer as it is (padded), on packed pairs, or on shared prefixes."""

    def measure(size: Size, seconds: float) -> Measured:
        from datasets import Dataset, disable_progress_bars
        from trl.trainer.dpo_config import DPOConfig
        from trl.trainer.dpo_trainer import DPOTrainer

        from parrot_core.stages.training.prefix_dpo import PrefixSharingDPOTrainer

        disable_progress_bars()
        on_gpu = torch.cuda.is_available()
        pairs = 3 * size.queries
        rows = preferences(size, 8 * size.queries)
        with tempfile.TemporaryDirectory(prefix="parrot-bench-") as scratch:
            tokenizer = random_tokenizer()
            options: dict[str, Any] = {
                "model": random_model(size),
                "args": DPOConfig(
                    output_dir=str(Path(scratch) / "out"),
                    max_length=8192,
                    per_device_train_batch_size=pairs,
                    max_steps=100_000,
                    precompute_ref_log_probs=True,
                    precompute_ref_batch_size=pairs,
                    gradient_checkpointing=True,
                    bf16=on_gpu,
                    use_cpu=not on_gpu,
                    learning_rate=1e-6,
                    logging_steps=1000,
                    save_strategy="no",
                    report_to="none",
                    disable_tqdm=True,
                    seed=1,
                ),
                "train_dataset": Dataset.from_list(rows),
                "processing_class": tokenizer,
            }
            if contender == "padded":
                trainer = DPOTrainer(**options)
            else:
                trainer = PrefixSharingDPOTrainer(**options)
            if contender == "packed":
                trainer.data_collator = packed(trainer.data_collator)
            return trained(trainer, seconds, pairs)

    return measure


def packed(collator: Any) -> Any:
    """A collator that lays each batch's sequences into one row, apart by positions and mask.

    TRL's own for DPO (``padding_free``) is out of service in 1.16.
    """
    from parrot_core.stages.training.prefix_trees import PrefixTreeCollator

    class PackedPairs(PrefixTreeCollator):  # type: ignore[misc]
        def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
            batch = super().torch_call(examples)
            ids, mask = batch["input_ids"], batch["completion_mask"]
            lengths = (ids != self.pad_token_id).sum(1).tolist()
            width = ids.shape[1] - 1
            columns: dict[str, list[torch.Tensor]] = {name: [] for name in ROW_FIELDS}
            index = torch.full((len(ids), width), -1)
            start = 0
            for row, length in enumerate(lengths):
                labels = torch.where(mask[row, 1:length].bool(), ids[row, 1:length], -100)
                columns["tree_ids"].append(ids[row, : length - 1])
                columns["tree_positions"].append(torch.arange(length - 1))
                columns["tree_segments"].append(torch.full((length - 1,), row + 1))
                columns["tree_labels"].append(labels)
                answer = torch.nonzero(labels != -100).flatten()
                index[row, answer] = answer + start
                start += length - 1
            batch |= {name: torch.cat(parts)[None] for name, parts in columns.items()}
            batch["tree_index"] = index
            batch["attention_mask"] = torch.ones_like(batch["tree_ids"])
            return batch

    return PackedPairs(pad_token_id=collator.pad_token_id, max_length=collator.max_length)


ROW_FIELDS = ("tree_ids", "tree_positions", "tree_segments", "tree_labels")


def trained(trainer: Any, seconds: float, pairs: int) -> Measured:
    """Let a trainer go on for so long behind its warm-up, and count what the model computed."""
    from transformers import PrinterCallback, TrainerCallback

    found = Measured()
    began = [0.0]

    def count(_: Any, inputs: tuple[Any, ...], __: Any) -> None:
        if began[0]:
            found.positions += inputs[0].numel()
            found.tokens += int((inputs[0] != 0).sum())

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            synchronise()
            if state.global_step == WARM_UP:
                began[0] = time.monotonic()
            elif state.global_step > WARM_UP:
                found.steps += 1
                found.seconds = time.monotonic() - began[0]
                control.should_training_stop = found.seconds >= seconds

    trainer.model.get_input_embeddings().register_forward_hook(count)
    trainer.add_callback(Clock())
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    found.pairs = pairs * found.steps
    return found


ROWS: dict[str, Callable[[Size, float], Measured]] = {
    "SFT, plain loop": sft,
    "DPO, TRL, padded": dpo("padded"),
    "DPO, pairs packed": dpo("packed"),
    "DPO, shared prefixes": dpo("shared"),
}


if __name__ == "__main__":
    main()
