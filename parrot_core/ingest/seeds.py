"""The stage ``seeds``: opening queries to start new dialogues from."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from parrot_core.filters import first_failure
from parrot_core.ingest.rules.rule import Rejection
from parrot_core.ingest.splits import unit_hash
from parrot_core.recipe import Recipe
from parrot_core.stage import Row, Run, ShardPlan, ShardWork, Slice, Stage


class SeedsStage(Stage):
    """Opening queries of the sessions in split ``seed``: what new dialogues start from.

    Candidates are the sessions of that split that begin at their real beginning (not a later
    part of a split session). They are looked at in the order of a hash of seed and id, until the
    recipe's number of usable ones is found. Taken in, and so counted, is what was looked at.
    A query that ``filter`` would throw out is rejected here, before answers to it are bought.
    """

    name = "seeds"
    output = "seeds"
    inputs = ("conversations",)

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """One shard over all files, since the order of choice goes across them."""
        version = run.version_of("conversations")
        files = run.lake.dataset("conversations", version).manifest.files
        slices = [
            Slice("conversations", version, position, 0, entry.rows)
            for position, entry in enumerate(files)
        ]
        return [ShardPlan(0, tuple(slices))]

    def process(self, work: ShardWork) -> None:
        """Choose, check, and emit in the order of choice."""
        recipe = work.run.recipe
        candidates = sorted(_candidates(work.rows(), recipe.seed))
        seen: dict[bytes, str] = {}
        usable = 0
        for candidate in candidates:
            if usable == recipe.seeds.limit:
                break
            work.expect(1)
            failure = _unusable(candidate.query, recipe, seen)
            row = {
                "id": candidate.id,
                "source_ids": [candidate.id],
                "language": candidate.language,
                "query": candidate.query,
            }
            if failure:
                work.reject(candidate.id, [candidate.id], failure.reason, row, failure.detail)
                continue
            seen[_query_digest(candidate.query)] = candidate.id
            usable += 1
            work.emit(row)
            work.progress(usable, recipe.seeds.limit)
        work.progress(usable, usable)
        work.metric("candidates", len(candidates))
        if usable < recipe.seeds.limit:
            work.warn(
                f"{usable:,} usable seeds among {len(candidates):,} sessions, fewer than the "
                f"{recipe.seeds.limit:,} asked for"
            )


@dataclass(frozen=True, slots=True, order=True)
class _Candidate:
    order: float
    id: str
    language: str | None
    query: str


def _candidates(rows: Iterator[Row], seed: int) -> Iterator[_Candidate]:
    for row in rows:
        if row["split"] == "seed" and row["opens_session"]:
            query = row["messages"][0]["content"]
            yield _Candidate(unit_hash(seed, row["id"]), row["id"], row["language"], query)


def _unusable(query: str, recipe: Recipe, seen: dict[bytes, str]) -> Rejection | None:
    settings = recipe.seeds
    if len(query) < settings.min_chars:
        return Rejection("query_too_short", f"{len(query)} of {settings.min_chars} characters")
    if len(query) > settings.max_chars:
        return Rejection("query_too_long", f"{len(query):,} of {settings.max_chars:,} characters")
    if same := seen.get(_query_digest(query)):
        return Rejection("duplicate", f"the same query as {same}")
    if failure := first_failure(query, (), recipe.filter):
        return Rejection(*failure)
    return None


def _query_digest(query: str) -> bytes:
    text = " ".join(query.casefold().split())
    return hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=16).digest()
