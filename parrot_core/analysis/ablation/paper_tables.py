"""The paper's own numbers, to stand beside ours."""

from pathlib import Path

import yaml
from pydantic import BaseModel


class PaperRow(BaseModel):
    """One row: its scores in the order of the columns."""

    label: str
    scores: tuple[float, ...]


class PaperTable(BaseModel):
    """One table of the paper."""

    title: str
    rows: dict[str, PaperRow]


class PaperTables(BaseModel):
    """All tables that an ablation can repeat, and where they are from."""

    source: str
    judge: str
    columns: tuple[str, ...]
    tables: dict[str, PaperTable]


def paper_tables() -> PaperTables:
    """The numbers as ``paper_tables.yaml`` has them."""
    text = Path(__file__).with_name("paper_tables.yaml").read_text(encoding="utf-8")
    return PaperTables.model_validate(yaml.safe_load(text))
