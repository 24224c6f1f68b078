"""The card of an exported Hugging Face dataset: what it is, where it comes from, what to heed."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader

from parrot_core.analysis.statistics.values import Statistics
from parrot_core.interchange.formats import Written
from parrot_core.interchange.lineage import Lineage
from parrot_core.lake.manifest import Manifest
from parrot_core.report.html_report import environment
from parrot_core.report.statistics_page import compare
from parrot_core.schemas import DATASETS
from parrot_core.stages.registry import maker_of
from parrot_core.text.sanitise import one_line

CARD = "README.md"

_SIZES = (
    (1e3, "n<1K"),
    (1e4, "1K<n<10K"),
    (1e5, "10K<n<100K"),
    (1e6, "100K<n<1M"),
    (1e7, "1M<n<10M"),
)


def card(
    manifest: Manifest,
    files: Sequence[Written],
    lineage: Lineage,
    languages: Sequence[str],
    statistics: Statistics | None,
) -> str:
    """Write the card."""
    maker = maker_of(manifest.name)
    splits: dict[str, int] = {}
    for file in files:
        splits[file.split] = splits.get(file.split, 0) + file.rows
    return (
        _environment()
        .get_template("card.md.j2")
        .render(
            front=_yaml(front_matter(manifest, splits, languages)),
            name=manifest.name,
            version=one_line(manifest.version, 80),
            what=maker.output_summary if maker else "",
            splits=splits,
            accounting=manifest.accounting,
            columns=[(f.name, _type(f.type)) for f in DATASETS[manifest.name].arrow],
            statistics=compare([statistics]) if statistics else None,
            tokenizer=statistics.tokenizer if statistics else "",
            lineage=lineage,
            fingerprint=manifest.fingerprint.recipe,
            recipe=_yaml(manifest.recipe).replace("```", "'''"),
        )
    )


def front_matter(
    manifest: Manifest, splits: Mapping[str, int], languages: Sequence[str]
) -> dict[str, Any]:
    """The card's metadata, as the hub and ``load_dataset`` read it."""
    rows = sum(splits.values())
    data = [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits]
    return {
        "pretty_name": f"{manifest.name} ({manifest.version})",
        "license": "unknown",
        "language": list(languages),
        "size_categories": [next((name for most, name in _SIZES if rows < most), "n>10M")],
        "task_categories": ["text-generation"],
        "tags": ["conversational", "multi-turn", "parrot"],
        "configs": [{"config_name": "default", "data_files": data}],
    }


def _type(type: object) -> str:
    return str(type).replace("|", "\\|").replace("\n", " ")


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def _environment() -> Environment:
    made = environment().overlay(
        loader=PackageLoader("parrot_core.interchange"),
        autoescape=False,
        keep_trailing_newline=True,
    )  # Markdown; texts of strangers go through ``cell``
    made.filters = {**made.filters, "cell": lambda text: one_line(text, 300).replace("|", "\\|")}
    return made
