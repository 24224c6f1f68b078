"""A row of any dataset in one line: its main text and its labels."""

from collections.abc import Iterator

from parrot_core.browse.query import SearchQuery
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
LONGEST_SEARCHED = 100_000
BEFORE_HIT = 60


def preview_column(columns: list[str]) -> str | None:
    """The column to read for a list, besides the light ones."""
    return next((name for name in PREVIEWS if name in columns), None)


def preview(row: Row) -> str:
    for name in PREVIEWS:
        value = row.get(name)
        if isinstance(value, list):
            return next((str(m["content"]) for m in value if m["content"]), "")[:2000]
        if value:
            return str(value)[:2000]
    return ""


def snippet(row: Row, query: SearchQuery) -> list[tuple[str, bool]]:
    """The text that stands for a row in pieces, the hits of a search marked, the first in sight."""
    for text in _texts(row) if query.terms else ():
        spans = query.spans(text[:LONGEST_SEARCHED])
        if spans:
            start = max(0, spans[0][0] - BEFORE_HIT)
            shown = text[start : start + LISTED_CHARS]
            parts: list[tuple[str, bool]] = [("…", False)] if start else []
            at = 0
            for first, last in spans:
                first, last = first - start, min(last - start, len(shown))
                if first >= len(shown):
                    break
                parts += [(shown[at:first], False), (shown[first:last], True)]
                at = last
            return [part for part in [*parts, (shown[at:], False)] if part[0]]
    return [(preview(row)[:LISTED_CHARS], False)]


def _texts(row: Row) -> Iterator[str]:
    for name in PREVIEWS:
        value = row.get(name)
        if isinstance(value, list):
            yield from (str(message["content"]) for message in value)
        elif value:
            yield str(value)


def labels(row: Row) -> list[str]:
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
