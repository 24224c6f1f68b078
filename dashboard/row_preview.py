"""How a row of each dataset is told in a line: the text that stands for it, and its labels."""

from parrot_core.lake.row_lookup import Row
from parrot_core.text.wording import plural

PREVIEWS = ("messages", "query", "rejected", "detail")
"""The column that stands for a row: the first of these that it has."""

LABELS = (
    "n_turns",
    "turn",
    "strategy",
    "rule",
    "reason",
    "subject",
    "category",
    "score",
    "split",
    "end_reason",
    "language",
    "topic",
    "flags",
)

LISTED_CHARS = 240


def preview_column(columns: list[str]) -> str | None:
    """The column to read for a list, besides the light ones."""
    return next((name for name in PREVIEWS if name in columns), None)


def preview(row: Row) -> str:
    """A line that stands for the row."""
    for name in PREVIEWS:
        value = row.get(name)
        if isinstance(value, list):
            return next((str(m["content"]) for m in value if m["content"]), "")[:2000]
        if value:
            return str(value)[:2000]
    return ""


def labels(row: Row) -> list[str]:
    """Short facts on the row."""
    found = []
    for name in LABELS:
        value = row.get(name)
        if value is None:
            continue
        if name == "n_turns":
            found.append(plural(value, "turn"))
        elif name in ("turn", "score"):
            found.append(f"{name} {value:g}")
        elif isinstance(value, list):
            found += map(str, value)
        else:
            found.append(str(value))
    return found
