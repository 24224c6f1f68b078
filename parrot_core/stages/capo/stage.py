"""The stage ``capo``: preference pairs whose rejected answer gets the context wrong."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from parrot_core.engines.in_flight import in_flight
from parrot_core.engines.types import Message, RowError
from parrot_core.judging.pairwise import compare
from parrot_core.lake.manifest import Receipt
from parrot_core.lake.run import Run
from parrot_core.recipe import Strategy
from parrot_core.stages.base import Row, ShardPlan, ShardWork, Stage
from parrot_core.stages.capo.gates import chosen_problem, negative_problem
from parrot_core.stages.capo.negatives import NEGATIVES, ContextQuery, Negative
from parrot_core.stages.capo.select import SelectStage
from parrot_core.stages.fitness import fit_text, is_truncated, truncation_warnings
from parrot_core.stages.planning import shards_of

__all__ = ["CapoStage", "SelectStage"]

_COUNTED = ("asked", "pairs", "truncated", "seeded_passages")


class CapoStage(Stage):
    """Context-dependent queries to preference pairs in TRL's layout (paper §3.3).

    The unit is a pair: a query times a strategy. The chosen answer is the one in the session, the
    rejected one is what the writer makes of the query with the strategy's mistake. What goes
    wrong with one strategy rejects that pair alone. With ``capo.judge`` a negative stands only if
    the judge prefers the chosen answer over both orders together.

    Metrics: ``asked``, ``pairs``, ``yield`` (pairs of those asked), ``truncated`` (negatives that
    were cut at the limit of tokens) and ``seeded_passages`` (misunderstandings whose passage the
    seed chose), each by strategy; ``rejected`` by strategy and reason.
    """

    name: ClassVar[str] = "capo"
    output: ClassVar[str] = "preferences"
    inputs: ClassVar[tuple[str, ...]] = ("context-queries",)
    unit: ClassVar[str] = "pair"

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """Consecutive queries a shard.

        Raises:
            MissingVersion: the context-dependent queries have not been published.
        """
        return shards_of(run, "context-queries", run.recipe.capo.queries_per_shard)

    def engines(self, run: Run) -> Sequence[str]:
        """The writer, and the judge if there is one."""
        settings = run.recipe.capo
        return tuple(name for name in (settings.writer, settings.judge) if name is not None)

    def process(self, work: ShardWork) -> None:
        """Write the negatives of every query, then emit the pairs in the order of the input."""
        queries = [ContextQuery.from_row(row) for row in work.rows()]
        pairing = _Pairing(work, len(queries))
        work.expect(pairing.total)
        limit = work.run.recipe.capo.queries_in_flight
        asyncio.run(in_flight(queries, limit, pairing.pair))
        for query in queries:
            for strategy in work.run.recipe.capo.strategies:
                pairing.report(query, strategy)
        for name, counts in pairing.counts.items():
            work.metric(name, dict(counts))
        work.metric("rejected", {name: dict(counts) for name, counts in pairing.rejected.items()})

    def warnings(self, run: Run, receipts: Sequence[Receipt]) -> Sequence[str]:
        """Too many negatives that were cut at the limit of tokens."""
        cut = sum(sum(receipt.metrics.get("truncated", {}).values()) for receipt in receipts)
        total = sum(receipt.accounting.rows_in for receipt in receipts)
        sampling = {"capo.sampling": run.recipe.capo.sampling}
        return truncation_warnings({"capo.sampling": cut}, sampling, total, self.unit)

    def summarise(self, run: Run, receipts: Sequence[Receipt]) -> dict[str, Any] | None:
        """Sum the shards' counts and add the yield."""
        strategies = run.recipe.capo.strategies
        summed: dict[str, dict[str, int]] = {
            name: {
                strategy: sum(
                    receipt.metrics.get(name, {}).get(strategy, 0) for receipt in receipts
                )
                for strategy in strategies
            }
            for name in _COUNTED
        }
        rejected: dict[str, Counter[str]] = {strategy: Counter() for strategy in strategies}
        for receipt in receipts:
            for strategy, counts in receipt.metrics.get("rejected", {}).items():
                rejected[strategy].update(counts)
        shares = {
            strategy: round(summed["pairs"][strategy] / asked, 4) if asked else None
            for strategy, asked in summed["asked"].items()
        }
        reasons = {strategy: dict(counts) for strategy, counts in rejected.items()}
        return {**summed, "yield": shares, "rejected": reasons}


@dataclass(frozen=True, slots=True)
class _Refusal:
    reason: str
    detail: str
    negative: Negative | None = None


@dataclass(frozen=True, slots=True)
class _Pair:
    negative: Negative
    judge_texts: tuple[str, str] | None


class _Pairing:
    """The pairs of one shard in the making."""

    def __init__(self, work: ShardWork, queries: int) -> None:
        self._work = work
        self._settings = work.run.recipe.capo
        self._outcomes: dict[tuple[str, Strategy], _Pair | _Refusal] = {}
        self.total = queries * len(self._settings.strategies)
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in _COUNTED}
        self.rejected: dict[str, Counter[str]] = {
            strategy: Counter() for strategy in self._settings.strategies
        }

    async def pair(self, query: ContextQuery) -> None:
        """Find out what each strategy gives for one query."""
        for strategy in self._settings.strategies:
            self._outcomes[query.id, strategy] = await self._outcome(query, strategy)
            self._work.progress(len(self._outcomes), self.total)

    def report(self, query: ContextQuery, strategy: Strategy) -> None:
        """Emit the pair or reject it."""
        outcome = self._outcomes[query.id, strategy]
        self.counts["asked"][strategy] += 1
        self.counts["truncated"][strategy] += _is_cut(outcome)
        pair_id = f"{query.id}:{strategy}"
        if isinstance(outcome, _Refusal):
            self.rejected[strategy][outcome.reason] += 1
            original = _original(query, strategy, outcome.negative)
            self._work.reject(pair_id, [query.id], outcome.reason, original, outcome.detail)
            return
        self.counts["pairs"][strategy] += 1
        self.counts["seeded_passages"][strategy] += outcome.negative.evidence_by == "seed"
        self._work.emit(_row(pair_id, query, strategy, outcome))

    async def _outcome(self, query: ContextQuery, strategy: Strategy) -> _Pair | _Refusal:
        problem = chosen_problem(query.response)
        if problem:
            return _Refusal(problem, "the answer in the session is empty or a refusal")
        writer = self._work.engine(self._settings.writer)
        seed = self._work.run.recipe.seed
        negative: Negative | None = None
        try:
            negative = await NEGATIVES[strategy](query, writer, self._settings.sampling, seed)
            if negative.completion is not None:
                keep = self._settings.keep_truncated
                text = fit_text(negative.completion, keep_truncated=keep, empty="negative_empty")
                negative = replace(negative, text=text)
            problem = negative_problem(negative.text, query.response)
            if problem:
                return _Refusal(problem, "", negative)
            return await self._judged(query, strategy, negative)
        except RowError as error:
            return _Refusal(error.reason, str(error), negative)

    async def _judged(
        self, query: ContextQuery, strategy: Strategy, negative: Negative
    ) -> _Pair | _Refusal:
        """The pair, if there is no judge or it prefers the chosen answer."""
        if self._settings.judge is None:
            return _Pair(negative, None)
        asked: list[Message] = [*query.history, {"role": "user", "content": query.query}]
        comparison = await compare(
            f"{query.id}/{strategy}",
            [*asked, {"role": "assistant", "content": query.response}],
            [*asked, {"role": "assistant", "content": negative.text}],
            self._work.engine(self._settings.judge),
            self._settings.verdict,
        )
        said = " | ".join(comparison.texts)
        if not comparison.readable:
            return _Refusal("unparsable_verdict", said, negative)
        if comparison.winner != "first":
            return _Refusal("negative_as_good", said, negative)
        return _Pair(negative, comparison.texts)


def _is_cut(outcome: _Pair | _Refusal) -> bool:
    """Whether the negative reached the limit of tokens, be it kept or refused for it."""
    if isinstance(outcome, _Refusal) and outcome.reason == "truncated":
        return True
    completion = outcome.negative.completion if outcome.negative else None
    return completion is not None and is_truncated(completion)


def _row(pair_id: str, query: ContextQuery, strategy: Strategy, pair: _Pair) -> Row:
    negative = pair.negative
    return {
        "id": pair_id,
        "source_ids": [query.id],
        "language": query.language,
        "strategy": strategy,
        "turn": query.turn,
        "prompt": [*query.history, {"role": "user", "content": query.query}],
        "chosen": [{"role": "assistant", "content": query.response}],
        "rejected": [{"role": "assistant", "content": negative.text}],
        "evidence": negative.evidence,
        "evidence_by": negative.evidence_by,
        "prompt_set": negative.prompt_set,
        "model": negative.completion.model if negative.completion else None,
        "request_key": negative.completion.request_key if negative.completion else None,
        "judge_texts": list(pair.judge_texts) if pair.judge_texts else None,
    }


def _original(query: ContextQuery, strategy: Strategy, negative: Negative | None) -> Row:
    return {
        "strategy": strategy,
        "turn": query.turn,
        "query": query.query,
        "chosen": query.response,
        "rejected": negative.text if negative else None,
        "evidence": negative.evidence if negative else None,
    }
