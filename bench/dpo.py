"""Tokens and seconds of a DPO step on shared prefixes, against TRL's DPOTrainer on the same pairs.

Usage: python bench/dpo.py --model FOLDER --preferences LAKE/datasets/preferences/VERSION
           [--only "ten turns"] [--queries 6] [--warm-up 0] [--rounds 1] [--json]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS = "shared prefix"
PEERS = ("TRL", "TRL, labelled positions")
Figures = dict[str, float]
Pair = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Pairs of one kind, and how many of them a contender takes at once."""

    max_length: int
    long: bool  # histories of ten turns, made of the pairs' own messages
    queries_a_step: int
    pairs_at_once: int  # of those that compute pairs; a step's queries are one batch of trees


SCENARIOS = {
    "demo": Scenario(256, False, 2, 2),  # as the demo's recipe clips them
    "demo, whole histories": Scenario(1024, False, 2, 2),
    "ten turns": Scenario(4096, True, 1, 1),
}


def read_queries(folder: Path) -> list[list[Pair]]:
    """The pairs of each query that has all three."""
    import pyarrow.dataset as arrow

    queries: dict[str, list[Pair]] = {}
    columns = ["source_ids", "prompt", "chosen", "rejected"]
    for row in arrow.dataset(folder / "shards").to_table(columns=columns).to_pylist():
        queries.setdefault("/".join(row.pop("source_ids")), []).append(row)
    return [pairs for _, pairs in sorted(queries.items()) if len(pairs) == 3]


def cycled(texts: Sequence[str], start: int) -> Iterator[str]:
    """The texts for ever, from the given one on."""
    while True:
        yield texts[start % len(texts)]
        start += 1


def lengthened(queries: Sequence[Sequence[Pair]], number: int) -> list[Pair]:
    """A query after nine turns, 1,500 to 2,000 tokens, with answers of about 200."""
    spoken = [message for pairs in queries for message in pairs[0]["prompt"]]
    said = [m["content"] for m in spoken if m["role"] == "user"]
    answered = [m["content"] for m in spoken if m["role"] == "assistant"]
    asks, answers = cycled(said, 5 * number), cycled(answered, 7 * number)
    prompt = []
    for _ in range(9):
        prompt.append({"role": "user", "content": next(asks)})
        prompt.append({"role": "assistant", "content": f"{next(answers)}\n{next(answers)}"})
    prompt.append({"role": "user", "content": next(asks)})

    def answer(text: str) -> list[dict[str, str]]:
        return [{"role": "assistant", "content": f"{text}\n{next(answers)}\n{next(answers)}"}]

    pairs = queries[number % len(queries)]
    chosen = answer(pairs[0]["chosen"][0]["content"])
    return [
        {"prompt": prompt, "chosen": chosen, "rejected": answer(p["rejected"][0]["content"])}
        for p in pairs
    ]


def pairs_of(scenario: Scenario, preferences: Path, queries: int) -> list[Pair]:
    """So many queries' pairs, the dataset repeated if it has fewer."""
    found = read_queries(preferences)
    if scenario.long:
        return [pair for n in range(queries) for pair in lengthened(found, n)]
    return [pair for n in range(queries) for pair in found[n % len(found)]]


def clipped(scenario: Scenario, told: argparse.Namespace) -> tuple[list[Pair], Any]:
    """The pairs as the training process would have them, and its tokenizer."""
    from transformers import AutoTokenizer

    from parrot_core.recipe import TrainDpo
    from parrot_core.stages.training.examples import prepare_tokenizer, read_examples
    from parrot_core.stages.training.job import TrainingJob

    with tempfile.TemporaryDirectory(prefix="parrot-bench-") as folder:
        job = TrainingJob(
            kind="dpo",
            model=told.model,
            folder=Path(folder),
            settings=TrainDpo(max_length=scenario.max_length),
            seed=1,
            data_sha256="",
        )
        rows = pairs_of(scenario, told.preferences, told.queries)
        job.train_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        tokenizer = AutoTokenizer.from_pretrained(told.model)
        markup = prepare_tokenizer(job, tokenizer)
        examples, _ = read_examples(job, job.train_file, tokenizer, markup)
    return examples, tokenizer


def count(scenario: Scenario, told: argparse.Namespace) -> str:
    """Tokens that TRL computes for a pass over the pairs, and shared prefixes; without a model."""
    examples, tokenizer = clipped(scenario, told)

    def length(messages: list[dict[str, str]], **options: bool) -> int:
        return len(tokenizer.apply_chat_template(messages, return_dict=False, **options))

    pairs = trees = prompts = answers = 0
    for first in range(0, len(examples), 3):
        query = examples[first : first + 3]
        prompt = length(query[0]["prompt"], add_generation_prompt=True)
        chosen = length(query[0]["prompt"] + query[0]["chosen"]) - prompt
        rejected = [length(pair["prompt"] + pair["rejected"]) - prompt for pair in query]
        pairs += 6 * prompt + 3 * chosen + sum(rejected)
        trees += prompt - 1 + chosen + sum(rejected)
        prompts, answers = prompts + prompt, answers + chosen + sum(rejected)
    number = len(examples) / 3
    return (
        f"{number:.0f} queries, a prompt of {prompts / number:.0f} and answers of "
        f"{answers / number / 4:.0f} tokens: {pairs} in pairs, {trees} on shared prefixes, "
        f"{pairs / trees:.2f} x"
    )


def measure(contender: str, scenario: Scenario, told: argparse.Namespace) -> Figures:
    """Train one epoch in this process."""
    from datasets import Dataset
    from trl.trainer.dpo_trainer import DPOTrainer

    from parrot_core.stages.training.cpu_head import labelled_positions_only
    from parrot_core.stages.training.prefix_dpo import PrefixSharingDPOTrainer

    examples, tokenizer = clipped(scenario, told)
    with tempfile.TemporaryDirectory(prefix="parrot-bench-") as scratch:
        options = {
            "model": told.model,
            "args": configuration(contender, scenario, Path(scratch), len(examples)),
            "train_dataset": Dataset.from_list(examples),
            "processing_class": tokenizer,
        }
        started = time.monotonic()
        if contender == "TRL":
            trainer = DPOTrainer(**options)
        else:
            shared = contender == OURS
            with labelled_positions_only():
                trainer = PrefixSharingDPOTrainer(share_prefix=shared, **options)
        return trained(trainer, len(examples), time.monotonic() - started, told.warm_up)


def configuration(contender: str, scenario: Scenario, folder: Path, pairs: int) -> Any:
    """The same optimiser steps for all; TRL's own advice for memory: precomputed references."""
    from trl.trainer.dpo_config import DPOConfig

    from parrot_core.stages.training.precision import wants_bf16

    a_step = 3 * scenario.queries_a_step
    at_once = a_step if contender == OURS else scenario.pairs_at_once
    return DPOConfig(
        output_dir=str(folder / "out"),
        max_length=scenario.max_length,
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=a_step // at_once,
        max_steps=pairs // a_step,
        precompute_ref_log_probs=True,
        precompute_ref_batch_size=at_once,
        learning_rate=1e-6,
        gradient_checkpointing=False,
        bf16=wants_bf16("auto"),
        model_init_kwargs={"dtype": "float32"},
        use_cpu=True,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=1,
    )


def trained(trainer: Any, pairs: int, reference_s: float, warm_up: int) -> Figures:
    """Train and count the steps after the warm-up: seconds, and positions the model was run on."""
    from transformers import TrainerCallback

    positions = [0]
    began = [time.monotonic(), time.process_time()]

    def count(_: Any, inputs: tuple[Any, ...], __: Any) -> None:
        positions[0] += inputs[0].numel()

    class StartsTheClock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == warm_up:
                positions[0] = 0
                began[:] = time.monotonic(), time.process_time()

    trainer.model.get_input_embeddings().register_forward_hook(count)
    trainer.add_callback(StartsTheClock())
    began[:] = time.monotonic(), time.process_time()
    trainer.train()
    seconds, cpu_seconds = time.monotonic() - began[0], time.process_time() - began[1]
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    before = steps[warm_up - 1]["num_tokens"] if warm_up else 0
    timed = len(steps) - warm_up
    return {
        "pairs": pairs * timed / len(steps),
        "steps": timed,
        "tokens": steps[-1]["num_tokens"] - before,
        "positions": positions[0],
        "step_s": seconds / timed,
        "step_cpu_s": cpu_seconds / timed,  # of all threads: says more on a busy machine
        "prepare_s": reference_s,
        "loss": sum(entry["loss"] for entry in steps) / len(steps),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def in_process(contender: str, scenario: str, told: argparse.Namespace) -> Figures:
    """Measure one contender in a process of its own, for a peak RSS of its own."""
    command = [sys.executable, __file__, "--model", told.model, "--only", scenario]
    command += ["--preferences", str(told.preferences), "--queries", str(told.queries)]
    command += ["--warm-up", str(told.warm_up)]
    done = subprocess.run(
        [*command, "--contender", contender],
        check=True,
        stdout=subprocess.PIPE,
        stderr=None if told.verbose else subprocess.DEVNULL,
        text=True,
    )
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def report(scenario: str, found: dict[str, Figures]) -> None:
    """Print the contenders and the ratios of one round."""
    ours = found[OURS]
    print(f"\n{scenario}: {ours['pairs']:.0f} pairs in {ours['steps']:.0f} steps")
    for name, row in found.items():
        print(
            f"  {name:24} {row['tokens']:7.0f} tokens ({row['positions']:.0f} with padding), "
            f"{row['step_s']:6.1f} s ({row['step_cpu_s']:.1f} s of CPU) a step, "
            f"{row['prepare_s']:6.1f} s to load and for the reference, "
            f"peak RSS {row['peak_rss_mb']:.0f} MB, mean loss {row['loss']:.4f}"
        )
        if row is not ours:
            print(
                f"  {'':24} = {row['tokens'] / ours['tokens']:.2f} x the tokens, "
                f"{row['step_s'] / ours['step_s']:.2f} x the seconds, "
                f"{row['step_cpu_s'] / ours['step_cpu_s']:.2f} x the CPU seconds"
            )
    print(f"  load {os.getloadavg()[0]:.1f}", flush=True)


def main() -> None:
    """Run the scenarios in rounds, the contenders one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="folder of the SFT model")
    parser.add_argument(
        "--preferences", type=Path, required=True, help="a dataset version's folder"
    )
    parser.add_argument("--queries", type=int, default=6, help="of three pairs each")
    parser.add_argument("--warm-up", type=int, default=0, help="steps that are not timed")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=SCENARIOS)
    parser.add_argument("--count", action="store_true", help="tokens only, without a model")
    parser.add_argument("--peer", choices=PEERS, action="append", help="of both, only this")
    parser.add_argument("--contender", choices=(*PEERS, OURS), help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    told = parser.parse_args()
    for name in [told.only] if told.only else SCENARIOS:
        if not 0 <= told.warm_up < told.queries // SCENARIOS[name].queries_a_step:
            parser.error(f"--queries {told.queries} leaves no step to time in '{name}'")
    if told.contender:
        print(json.dumps(measure(told.contender, SCENARIOS[told.only], told)))
        return
    for name in [told.only] if told.only else SCENARIOS:
        if told.count:
            print(f"{name}: {count(SCENARIOS[name], told)}")
            continue
        for _ in range(told.rounds):
            contenders = (*(told.peer or PEERS), OURS)
            found = {contender: in_process(contender, name, told) for contender in contenders}
            if told.json:
                print(json.dumps({"scenario": name, "load": os.getloadavg()[0], **found}))
            else:
                report(name, found)


if __name__ == "__main__":
    main()
