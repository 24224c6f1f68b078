"""Rows to look at: dialogues, one query with its negatives, a pair's ancestry, rejects.

What is drawn is drawn at random under the recipe's seed, never picked for its looks. Personal data
and what may be a name are hidden: reports are passed on.
"""

import hashlib
import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parrot_core.lake.lake import DatasetVersion, Lake
from parrot_core.lake.lineage import parent_datasets
from parrot_core.recipe import STRATEGIES
from parrot_core.stages.ingest.rules import hide_people

Row = dict[str, Any]

EXAMPLES_PER_REASON = 2


@dataclass(frozen=True, slots=True)
class Said:
    """One message and who wrote it; ``engine`` is empty for a human's."""

    role: str
    content: str
    engine: str = ""
    model: str = ""
    finish_reason: str = ""


@dataclass(frozen=True, slots=True)
class SampledDialogue:
    """One synthesized session."""

    id: str
    messages: tuple[Said, ...]
    n_turns: int
    end_reason: str = ""


@dataclass(frozen=True, slots=True)
class SampledNegative:
    """One rejected answer, and what misled its writer (guess or passage)."""

    id: str
    strategy: str
    answer: str
    evidence: str
    model: str


@dataclass(frozen=True, slots=True)
class PairGroup:
    """One context-dependent query: its history, the chosen answer and every negative."""

    query_id: str
    turn: int
    history: tuple[Said, ...]
    query: str
    chosen: str
    negatives: tuple[SampledNegative, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(negative.id for negative in self.negatives)


@dataclass(frozen=True, slots=True)
class LineageStep:
    """One ancestor of a row: which version it is in, and what it says."""

    dataset: str
    version: str
    id: str
    text: str
    source: str = ""  # of a conversation: the file and position of the record it came from


@dataclass(frozen=True, slots=True)
class RejectExample:
    """A unit that a stage put aside."""

    stage: str
    reason: str
    count: int
    id: str
    detail: str
    original: str


def sample_dialogues(version: DatasetVersion, count: int, seed: int) -> tuple[SampledDialogue, ...]:
    """Draw ``count`` dialogues at random under ``seed``, in the order of the draw."""
    ids = (row["id"] for row in version.rows(["id"]))
    drawn = heapq.nsmallest(count, ids, key=lambda id_: _draw(seed, id_))
    found = {row["id"]: row for row in _with_ids(version, set(drawn))}
    return tuple(_dialogue(found[id_]) for id_ in drawn if id_ in found)


def pair_group(version: DatasetVersion, seed: int) -> PairGroup | None:
    """Draw one query among those with the most negatives; None when there are no pairs."""
    groups: dict[str, set[str]] = {}
    for row in version.rows(["id", "source_ids"]):
        groups.setdefault(_query_of(row), set()).add(row["id"])
    if not groups:
        return None
    query_id = min(groups, key=lambda key: (-len(groups[key]), _draw(seed, key)))
    rows = _with_ids(version, groups[query_id])
    order = {strategy: place for place, strategy in enumerate(STRATEGIES)}
    rows.sort(key=lambda row: order.get(row["strategy"], len(order)))
    prompt = [_said(message, None) for message in rows[0]["prompt"] or []]
    return PairGroup(
        query_id=query_id,
        turn=int(rows[0]["turn"] or 0),
        history=tuple(prompt[:-1]),
        query=prompt[-1].content if prompt else "",
        chosen=_content(rows[0]["chosen"]),
        negatives=tuple(
            SampledNegative(
                id=row["id"],
                strategy=row["strategy"] or "",
                answer=_content(row["rejected"]),
                evidence=hide_people(row["evidence"] or ""),
                model=row["model"] or "",
            )
            for row in rows
        ),
    )


def trace(lake: Lake, dataset: str, version: str, row_id: str) -> tuple[LineageStep, ...]:
    """Follow a row's ``source_ids`` through the manifests' inputs, back to the first source.

    Raises:
        StorageError: a version on the way can't be read. One that is no longer in the lake ends
            the path without an error.
    """
    steps: list[LineageStep] = []
    wanted = {row_id}
    waiting = [lake.manifest("dataset", dataset, version)]
    while waiting and wanted:
        manifest = waiting.pop(0)
        opened = lake.dataset(manifest.name, manifest.version)
        if rows := _with_ids(opened, wanted, first=True):
            steps.append(_step(manifest.name, manifest.version, rows[0]))
            wanted = set(rows[0]["source_ids"] or ())
            waiting = list(parent_datasets(lake, manifest))
    return tuple(steps)


def reject_examples(
    version: DatasetVersion, stage: str, counts: Mapping[str, int]
) -> tuple[RejectExample, ...]:
    """The first examples of every reason, most frequent reason first."""
    found: dict[str, list[RejectExample]] = {reason: [] for reason in counts}
    missing = {r: min(EXAMPLES_PER_REASON, n) for r, n in counts.items() if n > 0}
    for row in version.rejects():
        reason = row["reason"]
        if missing.get(reason, 0) > 0:
            missing[reason] -= 1
            found[reason].append(
                RejectExample(
                    stage,
                    reason,
                    counts[reason],
                    row["id"],
                    hide_people(row["detail"] or ""),
                    hide_people(_readable(row["original"])),
                )
            )
        if not any(missing.values()):
            break
    frequent = sorted(found, key=lambda reason: (-counts[reason], reason))
    return tuple(example for reason in frequent for example in found[reason])


def _readable(original: str) -> str:
    """The original without JSON's escapes for what isn't ASCII."""
    try:
        return json.dumps(json.loads(original), ensure_ascii=False)
    except ValueError:
        return original


def _draw(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed}:{key}".encode()).digest()


def _with_ids(version: DatasetVersion, ids: set[str], *, first: bool = False) -> list[Row]:
    found: list[Row] = []
    wanted = 1 if first else len(ids)
    for row in version.rows():
        if row["id"] in ids:
            found.append(row)
            if len(found) >= wanted:
                break
    return found


def _query_of(row: Row) -> str:
    sources = row["source_ids"] or []
    return str(sources[0]) if sources else str(row["id"])


def _said(message: Row, author: Row | None) -> Said:
    return Said(
        role=str(message["role"]),
        content=hide_people(str(message["content"])),
        engine=str((author or {}).get("engine") or ""),
        model=str((author or {}).get("model") or ""),
        finish_reason=str((author or {}).get("finish_reason") or ""),
    )


def _dialogue(row: Row) -> SampledDialogue:
    messages: Sequence[Row] = row["messages"] or []
    authors: Sequence[Row | None] = row.get("provenance") or []
    padded = [*authors, *([None] * (len(messages) - len(authors)))]
    return SampledDialogue(
        id=str(row["id"]),
        messages=tuple(_said(m, a) for m, a in zip(messages, padded, strict=False)),
        n_turns=int(row["n_turns"] or 0),
        end_reason=str(row.get("end_reason") or ""),
    )


def _content(messages: Sequence[Row] | None) -> str:
    return hide_people("\n".join(str(message["content"]) for message in messages or ()))


def _step(dataset: str, version: str, row: Row) -> LineageStep:
    source = ""
    if row.get("source"):
        source = f"{row['source']} · record {row.get('record_index')}"
    return LineageStep(dataset, version, str(row["id"]), _gist(row), source)


def _gist(row: Row) -> str:
    """What a row says, in a line or two, whichever dataset it is from."""
    if row.get("rejected"):
        return f"{row.get('strategy')} negative: {_content(row['rejected'])}"
    if row.get("query"):
        return hide_people(str(row["query"]))
    if row.get("messages"):
        said = [message for message in row["messages"] if message["role"] != "system"]
        return f"{row.get('n_turns')} turns, beginning: {_content(said[:1])}"
    return hide_people(json.dumps(row, ensure_ascii=False, default=str))
