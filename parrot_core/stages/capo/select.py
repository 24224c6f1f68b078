"""The stage ``select``: which queries of the Parrot sessions depend on their context."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from parrot_core.context import Cue, detect, detector_language
from parrot_core.engines.in_flight import in_flight
from parrot_core.engines.types import Message, RowError, RunError
from parrot_core.judging.depends import DependenceVerdict, judge_dependence
from parrot_core.lake.manifest import Receipt
from parrot_core.lake.metrics import SelectMetrics
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.stages.base import EngineUse, Row, ShardWork, Stage
from parrot_core.stages.capo.judge_proof import prove_judge
from parrot_core.stages.forecasting import Load, Requests, Sizes
from parrot_core.stages.planning import shards_of

DEPENDS_TOKENS = 550.0
"""The judge's instructions and at most four messages of 500 characters (judging/depends)."""


class SelectStage(Stage):
    """Sessions to context-dependent queries: rules first, then an LLM judge (paper §3.3).

    The unit is a query of turn 2 or later. One without a cue is ``self_contained``. One with a cue
    goes before the judge, if the recipe names one: a no is ``judge_disagreed``, a reply that can't
    be read, twice, is ``unparsable_verdict``. Rule, verdict and the judge's text are stored with
    each query that is kept. Before the judge is believed, the first shard asks it about queries of
    known label (:mod:`.judge_proof`); by recipe a judge that fails stops the run.

    The recipe's limit is shared out over the shards when the stage is planned, by their number of
    queries. Within a shard candidates are looked at in the order of a hash of seed and id, so
    that the choice leans to no part of the data, and the judge is asked for no more of them than
    may still be needed; what is left is ``over_limit``.

    Metrics: ``cues`` (queries by the rule that saw them), ``judge`` (yes, no, unreadable) and
    ``judge_proof`` (κ, share of yes).
    """

    name: ClassVar[str] = "select"
    output: ClassVar[str] = "context-queries"
    metrics = SelectMetrics
    inputs: ClassVar[tuple[str, ...]] = ("parrot",)
    settings_read = ("select",)
    summary = "Queries that depend on their context, by rules and a judge."
    output_summary = "Queries that depend on their conversation, with their history."
    unit: ClassVar[str] = "query"

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """Consecutive sessions a shard, each with its quota of the limit.

        Raises:
            MissingVersion: the Parrot sessions have not been published.
        """
        settings = run.recipe.select
        shards = shards_of(run, "parrot", settings.sessions_per_shard)
        version = run.lake.dataset("parrot", run.version_of("parrot"))
        turns = (row["n_turns"] for row in version.rows(["n_turns"]))
        weights = [
            sum(max(0, next(turns) - settings.min_history_turns) for _ in range(shard.rows))
            for shard in shards
        ]
        quotas = share_out(settings.limit, weights)
        return [
            ShardPlan(shard.index, shard.inputs, {"quota": quota})
            for shard, quota in zip(shards, quotas, strict=True)
        ]

    def uses(self, run: Run) -> Sequence[EngineUse]:
        settings = run.recipe.select
        if settings.judge is None:
            return ()
        return (EngineUse(settings.judge, "select.verdict", settings.verdict, short=True),)

    def forecast(self, sizes: Sizes) -> Requests:
        """The judge sees follow-ups with a cue, until enough are confirmed."""
        settings = sizes.recipe.select
        if settings.judge is None:
            return Requests((), settings.queries_in_flight)
        asked = min(sizes.cued, settings.limit / sizes.basis.confirmed.value)
        judged = Load(settings.judge, asked, asked * DEPENDS_TOKENS, asked * 4)
        return Requests((judged,), settings.queries_in_flight)

    def warnings(self, run: Run, receipts: Sequence[Receipt]) -> Sequence[str]:
        """Fewer queries than the recipe asked for."""
        found = sum(receipt.accounting.rows_out for receipt in receipts)
        limit = run.recipe.select.limit
        if found >= limit:
            return ()
        return (f"{found:,} context-dependent queries, fewer than the {limit:,} of select.limit",)

    def process(self, work: ShardWork) -> None:
        """Look for cues in each query, then the judge about those with a cue."""
        least = work.run.recipe.select.min_history_turns
        follow_ups = [unit for row in work.rows() for unit in follow_ups_of(row)]
        work.expect(len(follow_ups))
        candidates: list[_Candidate] = []
        for unit in follow_ups:
            cues = detect(unit.query, unit.history, unit.language).cues
            if unit.turn <= least:
                detail = f"{unit.turn - 1} turns before the query, expected {least}"
                _reject(work, unit, "too_few_turns", detail)
            elif not cues:
                _reject(work, unit, "self_contained", _no_cue(unit))
            else:
                candidates.append(_Candidate(unit, cues[0]))
        done = len(follow_ups) - len(candidates)
        if work.plan.index == 0:
            _prove_judge(work)
        choice = _Choice(work, int(work.plan.params["quota"]), done, len(follow_ups))
        asyncio.run(choice.make(candidates))
        for candidate in candidates:
            choice.report(candidate)
        work.metric("cues", dict(Counter(candidate.cue.kind for candidate in candidates)))
        work.metric("judge", dict(choice.verdicts))


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A query of turn 2 or later with what came before it and the answer it got."""

    id: str
    session: str
    language: str | None
    turn: int
    history: tuple[Message, ...]
    query: str
    response: str
    finish_reason: str | None = None  # of the response; None where nobody generated it


def follow_ups_of(session: Row) -> Iterator[FollowUp]:
    """Yield the answered queries of a session from its second turn on."""
    messages: list[Message] = session["messages"]
    known = session.get("provenance") or [None] * len(messages)
    origins = [origin["finish_reason"] if origin else None for origin in known]
    turn = 0
    for index, message in enumerate(messages[:-1]):
        answer = messages[index + 1]
        if message["role"] != "user" or answer["role"] != "assistant":
            continue
        turn += 1
        if turn > 1:
            yield FollowUp(
                id=f"{session['id']}/t{turn}",
                session=session["id"],
                language=session["language"],
                turn=turn,
                history=tuple(messages[:index]),
                query=message["content"],
                response=answer["content"],
                finish_reason=origins[index + 1],
            )


def share_out(limit: int, weights: Sequence[int]) -> list[int]:
    """Divide ``limit`` in proportion to ``weights``; largest remainders get what is left over.

    No share exceeds its weight, and the shares sum to the smaller of limit and total weight.
    """
    total = sum(weights)
    limit = min(limit, total)
    if total == 0:
        return [0] * len(weights)
    shares = [limit * weight // total for weight in weights]
    by_remainder = sorted(
        range(len(weights)), key=lambda index: (-(limit * weights[index] % total), index)
    )
    for index in by_remainder[: limit - sum(shares)]:
        shares[index] += 1
    return shares


@dataclass(frozen=True, slots=True)
class _Candidate:
    unit: FollowUp
    cue: Cue


class _Choice:
    """Looks at candidates until the quota is filled, then says what became of each."""

    def __init__(self, work: ShardWork, quota: int, done: int, total: int) -> None:
        self._work = work
        self._quota = quota
        self._done = done
        self._total = total
        self._settings = work.run.recipe.select
        self._kept: dict[str, DependenceVerdict | None] = {}
        self._refused: dict[str, tuple[str, str]] = {}
        self.verdicts: Counter[str] = Counter()

    async def make(self, candidates: Sequence[_Candidate]) -> None:
        """Ask in waves no larger than what the quota still lacks."""
        seed = self._work.run.recipe.seed
        waiting = sorted(candidates, key=lambda candidate: _lot(seed, candidate.unit.id))
        position = 0
        while position < len(waiting) and len(self._kept) < self._quota:
            wave = waiting[position : position + self._quota - len(self._kept)]
            position += len(wave)
            await in_flight(wave, self._settings.queries_in_flight, self._look)

    def report(self, candidate: _Candidate) -> None:
        unit = candidate.unit
        if unit.id in self._kept:
            self._work.emit(_row(candidate, self._kept[unit.id]))
        elif unit.id in self._refused:
            reason, detail = self._refused[unit.id]
            _reject(self._work, unit, reason, detail)
        else:
            _reject(self._work, unit, "over_limit", f"the shard's share is {self._quota}")

    async def _look(self, candidate: _Candidate) -> None:
        unit = candidate.unit
        if self._settings.judge is None:
            self._kept[unit.id] = None
        else:
            try:
                verdict = await judge_dependence(
                    unit.id,
                    unit.history,
                    unit.query,
                    unit.language,
                    self._work.engine(self._settings.judge),
                    self._settings.verdict,
                )
            except RowError as error:
                self._refused[unit.id] = (error.reason, str(error))
            else:
                self._take(candidate, verdict)
        self._done += 1
        self._work.progress(self._done, self._total, kept=len(self._kept))

    def _take(self, candidate: _Candidate, verdict: DependenceVerdict) -> None:
        word = {True: "yes", False: "no", None: "unreadable"}[verdict.depends]
        self.verdicts[word] += 1
        if verdict.depends:
            self._kept[candidate.unit.id] = verdict
            return
        reason = "unparsable_verdict" if verdict.depends is None else "judge_disagreed"
        detail = f"cue '{candidate.cue.kind}'; judge: {verdict.text}"
        self._refused[candidate.unit.id] = (reason, detail)


def _prove_judge(work: ShardWork) -> None:
    """Ask the judge what is known already, and say how it fared.

    Raises:
        RunError: the recipe wants a weak judge to stop the run, and this one is.
    """
    settings = work.run.recipe.select
    if settings.judge is None or not settings.proof_queries:
        return
    judge = work.engine(settings.judge)
    proof = asyncio.run(prove_judge(judge, settings, work.run.recipe.seed))
    work.metric("judge_proof", proof.as_json())
    if proof.kappa < settings.min_kappa:
        work.warn(f"select.judge: {proof.sentence(settings.min_kappa)}")
        if settings.weak_judge == "stop":
            raise RunError(f"select.judge '{settings.judge}': {proof.sentence(settings.min_kappa)}")


def _row(candidate: _Candidate, verdict: DependenceVerdict | None) -> Row:
    unit = candidate.unit
    return {
        "id": unit.id,
        "source_ids": [unit.session],
        "language": unit.language,
        "turn": unit.turn,
        "history": list(unit.history),
        "query": unit.query,
        "response": unit.response,
        "response_finish_reason": unit.finish_reason,
        "rule": candidate.cue.kind,
        "judge_verdict": verdict.depends if verdict else None,
        "judge_text": verdict.text if verdict else None,
    }


def _reject(work: ShardWork, unit: FollowUp, reason: str, detail: str = "") -> None:
    original = {"turn": unit.turn, "query": unit.query, "response": unit.response}
    work.reject(unit.id, [unit.session], reason, original, detail)


def _no_cue(unit: FollowUp) -> str:
    if detector_language(unit.query, unit.language) is None:
        return "no rules for the language of this query"
    return ""


def _lot(seed: int, unit_id: str) -> bytes:
    return hashlib.sha256(f"{seed}/select/{unit_id}".encode()).digest()
