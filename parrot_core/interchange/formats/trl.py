"""JSON lines in TRL's conversational types: what its trainers take as they are."""

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from parrot_core.interchange.formats.format import Row, TextFiles, Written, batches
from parrot_core.lake.lake import DatasetVersion
from parrot_core.telemetry.progress import Progress


def _language_modeling(row: Row) -> Row:
    return {"messages": row["messages"]}


def _preference(row: Row) -> Row:
    return {name: row[name] for name in ("prompt", "chosen", "rejected")}


def _prompt_completion(row: Row) -> Row:
    prompt = [*row["history"], {"role": "user", "content": row["query"]}]
    return {"prompt": prompt, "completion": [{"role": "assistant", "content": row["response"]}]}


def _prompt_only(row: Row) -> Row:
    return {"prompt": [{"role": "user", "content": row["query"]}]}


TYPES: MappingProxyType[str, Callable[[Row], Row]] = MappingProxyType(
    {
        "conversations": _language_modeling,
        "dialogues": _language_modeling,
        "parrot": _language_modeling,
        "preferences": _preference,
        "context-queries": _prompt_completion,
        "seeds": _prompt_only,
    }
)
"""TRL's dataset type of each of our datasets; judgments have none."""


class TRL:
    """One JSONL file a split: messages, prompt/completion, or prompt/chosen/rejected."""

    description = "TRL JSONL"

    def takes(self, dataset: str) -> bool:
        """Whatever one of TRL's types can hold."""
        return dataset in TYPES

    def write(self, version: DatasetVersion, folder: Path, progress: Progress) -> list[Written]:
        """Stream ``train.jsonl`` and so on."""
        shape = TYPES[version.manifest.name]
        with TextFiles(folder, ".jsonl") as files:
            for split, batch in batches(version):
                for row in batch.to_pylist():
                    files.write(split, {"id": row["id"], **shape(row)}, first="", between="\n")
                progress(batch.num_rows)
            for _, file in files.splits():
                file.write("\n")
            return files.written()
