"""datatrove's contender: its InferenceRunner with a rollout that holds the dialogue.

A runner reaches one model, so the same model both asks and answers, with the two limits added up.

Usage: python bench/peers/run_datatrove.py --base-url URL --sessions 100 --folder DIR
"""

from typing import Any

from datatrove.data import Document
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.writers import JsonlWriter
from measured import Work, measure


def _rollout(turns: int) -> Any:
    async def rollout(document: Document, generate: Any) -> list[dict[str, str]]:
        messages = [{"role": "user", "content": document.text}]
        for turn in range(2 * turns - 1):
            reply = await generate({"messages": list(messages)})
            role = "user" if turn % 2 else "assistant"
            messages.append({"role": role, "content": reply.text})
        return messages

    return rollout


def converse(work: Work) -> int:
    """Run all rollouts, or those that are left; returns the documents written."""
    out = work.folder / "out"
    runner = InferenceRunner(
        rollout_fn=_rollout(work.turns),
        config=InferenceConfig(
            server_type="endpoint",
            model_name_or_path="answerer",
            endpoint_url=work.base_url.removesuffix("/v1"),
            max_concurrent_generations=2 * work.concurrency,
            max_concurrent_documents=1000,
            metric_interval=3600,
        ),
        output_writer=JsonlWriter(
            str(out), output_filename="${rank}_${chunk_index}.jsonl", compression=None
        ),
        checkpoints_local_dir=str(work.folder / "checkpoints"),
        records_per_chunk=50,
        skip_bad_requests=True,
    )
    runner.run(Document(text=text, id=f"s{n}") for n, text in enumerate(work.openings()))
    return sum(len(path.read_text().splitlines()) for path in out.glob("*.jsonl"))


if __name__ == "__main__":
    measure(__doc__ or "", converse)
