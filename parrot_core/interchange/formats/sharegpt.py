"""ShareGPT's own layout, as training tools and our ingest read it."""

from pathlib import Path
from types import MappingProxyType

from parrot_core.interchange.formats.format import (
    Row,
    TextFiles,
    Written,
    batches,
    has_messages,
)
from parrot_core.lake.lake import DatasetVersion
from parrot_core.telemetry.progress import Progress

SPEAKERS = MappingProxyType({"user": "human", "assistant": "gpt", "system": "system"})


class ShareGPT:
    """One JSON array a split: ``[{"id": …, "conversations": [{"from": "human", …}, …]}, …]``."""

    description = "ShareGPT JSON"

    def takes(self, dataset: str) -> bool:
        return has_messages(dataset)

    def write(self, version: DatasetVersion, folder: Path, progress: Progress) -> list[Written]:
        """Stream ``train.json`` and so on."""
        with TextFiles(folder, ".json") as files:
            for split, batch in batches(version):
                for row in batch.select(["id", "messages"]).to_pylist():
                    files.write(split, record(row), first="[\n", between=",\n")
                progress(batch.num_rows)
            for _, file in files.splits():
                file.write("\n]\n")
            return files.written()


def record(row: Row) -> Row:
    turns = [{"from": SPEAKERS[m["role"]], "value": m["content"]} for m in row["messages"]]
    return {"id": row["id"], "conversations": turns}
