"""The stage ``seeds``: opening queries to start new dialogues from."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from parrot_core.context import Cue, detect
from parrot_core.lake.metrics import SeedMetrics
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.recipe import Recipe, Seeds
from parrot_core.stages.base import Row, ShardWork, Stage
from parrot_core.stages.filters import first_failure
from parrot_core.stages.ingest.rules.rule import Rejection
from parrot_core.stages.ingest.splits import unit_hash
from parrot_core.stages.ingest.topics import names_of, spread, topics_of
from parrot_core.stages.planning import one_shard

LEANING_CHARS = 200
"""A longer opening brings what it is about: most that are found to lean are found wrongly."""
TOPIC_CHARS = (300, 600)
"""Characters of the opening query and of its response: a query alone has too few words."""


class SeedsStage(Stage):
    """Opening queries of the sessions in split ``seed``: what new dialogues start from.

    Candidates are the sessions of that split (by recipe also those that train the asker, without
    their opening query) that begin at their real beginning (not a later
    part of a split session). They are looked at in the order of a hash of seed and id, or spread
    over topics and languages, until the recipe's number of usable ones is found. Taken in, and so
    counted, is what was looked at. A query that ``filter`` would throw out, that is like one taken
    already or that leans on something unseen is rejected here, before answers to it are bought.
    Metrics: ``candidates``, ``sources`` and ``languages`` (seeds taken), ``topics`` (their number
    among the seeds).
    """

    name = "seeds"
    output = "seeds"
    metrics = SeedMetrics
    inputs = ("conversations",)
    settings_read = ("seeds", "filter")
    summary = "Opening queries of sessions that no training saw."
    output_summary = "First queries of conversations that people had with chat models."

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        return one_shard(run, "conversations")

    def process(self, work: ShardWork) -> None:
        """Choose, check, and emit in the order of choice."""
        recipe = work.run.recipe
        candidates = _in_order(sorted(_candidates(work.rows(), recipe)), recipe)
        quotas = _Quotas(recipe.seeds)
        taken: dict[str, Counter[object]] = {
            name: Counter() for name in ("sources", "languages", "topics")
        }
        seen: dict[bytes | str, str] = {}
        for candidate, topic in candidates:
            if quotas.full:
                break
            quota = quotas.open_for(candidate.source)
            if quota is None:
                continue
            work.expect(1)
            failure = _unusable(candidate, recipe, seen)
            row = {
                "id": candidate.id,
                "source_ids": [candidate.id],
                "language": candidate.language,
                "query": candidate.query,
                "system": candidate.system,
                "topic": topic,
            }
            if failure:
                work.reject(candidate.id, [candidate.id], failure.reason, row, failure.detail)
                continue
            seen |= dict.fromkeys((_digest(candidate.query), candidate.group), candidate.id)
            quotas.take(quota)
            for name, value in zip(
                taken, (candidate.source, candidate.language, topic), strict=True
            ):
                taken[name][value] += 1
            work.emit(row)
            work.progress(quotas.taken, quotas.wanted)
        work.progress(quotas.taken, quotas.taken)
        _report(work, len(candidates), quotas, taken)


def _report(
    work: ShardWork, candidates: int, quotas: "_Quotas", taken: Mapping[str, Counter[object]]
) -> None:
    work.metric("candidates", candidates)
    for name in ("sources", "languages"):
        work.metric(name, {str(key): count for key, count in taken[name].most_common()})
    if work.run.recipe.seeds.topics:
        work.metric("topics", len(taken["topics"]))
    for pattern, number, wanted in quotas.missing():
        of = f" of sources '{pattern}'" if pattern != "*" else ""
        work.warn(
            f"{number:,} usable seeds{of} among {candidates:,} sessions, fewer than the "
            f"{wanted:,} asked for"
        )


class _Quotas:
    """How many seeds are wanted, by pattern of source names, and how many there are."""

    def __init__(self, settings: Seeds) -> None:
        self._wanted = dict(settings.per_source) or {"*": settings.limit}
        self._taken: Counter[str] = Counter()
        self.wanted = min(settings.limit, sum(self._wanted.values()))

    @property
    def taken(self) -> int:
        return self._taken.total()

    @property
    def full(self) -> bool:
        return self.taken >= self.wanted

    def open_for(self, source: str) -> str | None:
        """The first pattern that fits a source and isn't full."""
        for pattern, wanted in self._wanted.items():
            if self._taken[pattern] < wanted and fnmatchcase(source, pattern):
                return pattern
        return None

    def take(self, pattern: str) -> None:
        self._taken[pattern] += 1

    def missing(self) -> Iterator[tuple[str, int, int]]:
        """Yield pattern, number and number wanted of those that are short."""
        if not self.full:
            for pattern, wanted in self._wanted.items():
                if self._taken[pattern] < wanted:
                    yield pattern, self._taken[pattern], wanted


@dataclass(frozen=True, slots=True, order=True)
class _SeedCandidate:
    order: float
    id: str
    source: str
    language: str
    group: str
    query: str
    system: str | None
    about: str  # what its topic is told by


def _candidates(rows: Iterator[Row], recipe: Recipe) -> Iterator[_SeedCandidate]:
    splits = ("seed", "train") if recipe.seeds.from_training else ("seed",)
    for row in rows:
        if row["split"] in splits and row["opens_session"]:
            yield _SeedCandidate(
                order=unit_hash(recipe.seed, row["id"]),
                id=row["id"],
                source=row["source"],
                language=row["language"] or "unknown",
                group=row.get("group") or row["id"],  # versions before groups have none
                query=row["messages"][0]["content"],
                system=row.get("system"),
                about=" ".join(
                    message["content"][:most]
                    for message, most in zip(row["messages"], TOPIC_CHARS, strict=False)
                ),
            )


def _in_order(
    candidates: Sequence[_SeedCandidate], recipe: Recipe
) -> list[tuple[_SeedCandidate, str | None]]:
    """The candidates with their topics, in the order in which they are looked at."""
    if not recipe.seeds.topics:
        return [(candidate, None) for candidate in candidates]
    about = [candidate.about for candidate in candidates]
    topics = topics_of(about, recipe.seeds.topics, recipe.seed)
    strata = [(c.source, c.language, t) for c, t in zip(candidates, topics, strict=True)]
    names = names_of(about, topics)
    return [(candidates[place], names[topics[place]]) for place in spread(strata)]


def _unusable(
    candidate: _SeedCandidate, recipe: Recipe, seen: Mapping[bytes | str, str]
) -> Rejection | None:
    settings, query = recipe.seeds, candidate.query
    if len(query) < settings.min_chars:
        return Rejection("query_too_short", f"{len(query)} of {settings.min_chars} characters")
    if len(query) > settings.max_chars:
        return Rejection("query_too_long", f"{len(query):,} of {settings.max_chars:,} characters")
    if same := seen.get(_digest(query)):
        return Rejection("duplicate", f"the same query as {same}")
    if like := seen.get(candidate.group):
        return Rejection("near_duplicate", f"in one group with {like}")
    if failure := first_failure(query, (), recipe.filter):
        return Rejection(*failure)
    if settings.stand_alone and (cue := leaning_cue(query, candidate.language)):
        start, end = cue.span
        return Rejection("leans_on_unseen", f"{cue.kind}: '{query[start:end]}'")
    return None


def leaning_cue(query: str, language: str) -> Cue | None:
    """The sign that an opening leans on something that isn't in it; None if it stands alone."""
    if len(query) > LEANING_CHARS:
        return None
    return next(iter(detect(query, (), language).cues), None)


def _digest(query: str) -> bytes:
    text = " ".join(query.casefold().split())
    return hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=16).digest()
