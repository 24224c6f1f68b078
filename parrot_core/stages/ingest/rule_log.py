"""What the cleaning rules did: how often each, and a few examples, drawn at random but fixed."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.rules import hide_people

EXAMPLES = 3
"""Kept of each rule, whatever the number of records."""
EXCERPT = 240
"""Characters of an example."""
_BEFORE = 60

Example = dict[str, str]


class RuleLog:
    """Counts by rule, and the examples whose ids hash lowest: the same in whatever order."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._examples: dict[str, list[tuple[str, Example]]] = {}

    def changed(self, rule: str, id: str, before: str, after: str) -> None:
        self.counts[rule] += 1
        rank = self._rank_if_drawn(rule, id)
        if rank is not None:
            start = max(0, _first_difference(before, after) - _BEFORE)
            self._keep(
                rule, rank, id, before[start : start + EXCERPT], after[start : start + EXCERPT]
            )

    def shortened(
        self, rule: str, id: str, before: Sequence[Message], after: Sequence[Message]
    ) -> None:
        """A session rule dropped or merged messages."""
        self.counts[rule] += 1
        rank = self._rank_if_drawn(rule, id)
        if rank is not None:
            self._keep(rule, rank, id, _gist(before), _gist(after))

    def found(self, rule: str, id: str, detail: str) -> None:
        self.counts[rule] += 1
        rank = self._rank_if_drawn(rule, id)
        if rank is not None:
            self._keep(rule, rank, id, detail[:EXCERPT], "")

    def metrics(self) -> dict[str, Any]:
        """``rules``: number by rule. ``examples``: ``id``, ``before``, ``after`` by rule."""
        examples = {rule: [kept for _, kept in held] for rule, held in self._examples.items()}
        return {
            "rules": dict(sorted(self.counts.items())),
            "examples": dict(sorted(examples.items())),
        }

    def _rank_if_drawn(self, rule: str, id: str) -> str | None:
        held = self._examples.setdefault(rule, [])
        rank = _rank(rule, id)
        return rank if len(held) < EXAMPLES or rank < held[-1][0] else None

    def _keep(self, rule: str, rank: str, id: str, before: str, after: str) -> None:
        before, after = hide_people(before), hide_people(after)
        example = {"id": id, "before": before if before != after else "", "after": after}
        held = [*self._examples[rule], (rank, example)]
        self._examples[rule] = sorted(held, key=lambda one: one[0])[:EXAMPLES]


def merged_examples(parts: Iterable[Mapping[str, Any]]) -> dict[str, list[Example]]:
    """The examples of several shards' metrics, as few as one shard's."""
    by_rule: dict[str, list[Example]] = {}
    for metrics in parts:
        for rule, examples in metrics.get("examples", {}).items():
            by_rule.setdefault(rule, []).extend(examples)
    merged: dict[str, list[Example]] = {}
    for rule, examples in sorted(by_rule.items()):
        ranked = sorted((_rank(rule, one["id"]), i) for i, one in enumerate(examples))
        merged[rule] = [examples[i] for _, i in ranked[:EXAMPLES]]
    return merged


def _rank(rule: str, id: str) -> str:
    text = f"{rule}\0{id}".encode("utf-8", errors="surrogatepass")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def _first_difference(before: str, after: str) -> int:
    """Index of the first character that differs, found by halving."""
    low, high = 0, min(len(before), len(after))
    while low < high:
        middle = (low + high + 1) // 2
        if before[:middle] == after[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _gist(messages: Sequence[Message]) -> str:
    said = [f"{m['role']}: {' '.join(m['content'][:60].split()) or '(empty)'}" for m in messages]
    shown = said if len(said) <= 4 else [*said[:2], f"({len(said) - 4} more)", *said[-2:]]
    return " | ".join(shown)[:EXCERPT]
