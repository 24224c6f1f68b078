"""The stage ``capo``: preference pairs whose rejected answer gets the context wrong."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from parrot_core.engines.in_flight import in_flight
from parrot_core.engines.types import Message, RowError
from parrot_core.judging.pairwise import PAIR_TOKENS, compare
from parrot_core.lake.manifest import Receipt
from parrot_core.lake.metrics import PreferenceMetrics
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.recipe import Strategy
from parrot_core.stages.base import EngineUse, Row, ShardWork, Stage
from parrot_core.stages.capo.gates import chosen_problem, negative_problem
from parrot_core.stages.capo.negatives import ContextQuery, Negative, content_words
from parrot_core.stages.capo.placebo import second_answer
from parrot_core.stages.capo.rewriting import rewrite
from parrot_core.stages.capo.select import SelectStage
from parrot_core.stages.capo.strategies import NEGATIVES
from parrot_core.stages.fitness import fit_text, is_truncated, truncation_warnings
from parrot_core.stages.forecasting import Load, Requests, Sizes
from parrot_core.stages.planning import shards_of

__all__ = ["CapoStage", "SelectStage"]

_COUNTED = (
    "asked",
    "pairs",
    "truncated",
    "asked_back",
    "chosen_words",
    "rejected_words",
    "chosen_longer",
)

PICK_TOKENS = 500.0
"""Eight passages of at most 300 characters (capo/strategies/misunderstanding)."""


class CapoStage(Stage):
    """Context-dependent queries to preference pairs in TRL's layout (paper §3.3).

    The unit is a pair: a query times a strategy. The chosen answer is the one in the session, the
    rejected one is what the writer makes of the query with the strategy's mistake. What goes
    wrong with one strategy rejects that pair alone. With ``capo.judge`` a negative stands only if
    the judge prefers the chosen answer over both orders together.

    Metrics, each by strategy: ``asked``, ``pairs``, ``yield`` (pairs of those asked), ``truncated``
    (negatives that were cut at the limit of tokens), ``asked_back`` (that asked what was meant),
    ``shares`` of both, ``words`` (mean of chosen and rejected answers) and ``chosen_longer`` (share
    of the pairs: far from a half, length alone tells the sides apart); ``rejected`` by reason.
    """

    name: ClassVar[str] = "capo"
    output: ClassVar[str] = "preferences"
    metrics = PreferenceMetrics
    inputs: ClassVar[tuple[str, ...]] = ("context-queries",)
    settings_read = ("capo", "synthesize")  # the placebo is sampled as the answers were
    summary = "Preference pairs whose rejected answer gets the context wrong."
    output_summary = "Preference pairs: answers that heed the conversation, and ones that don’t."
    unit: ClassVar[str] = "pair"

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """Consecutive queries a shard.

        Raises:
            MissingVersion: the context-dependent queries have not been published.
        """
        return shards_of(run, "context-queries", run.recipe.capo.queries_per_shard)

    def uses(self, run: Run) -> Sequence[EngineUse]:
        settings, synthesize = run.recipe.capo, run.recipe.synthesize
        uses = [EngineUse(settings.writer, "capo.sampling", settings.sampling)]
        if settings.judge is not None:
            uses.append(EngineUse(settings.judge, "capo.verdict", settings.verdict, short=True))
        if settings.placebo:
            uses.append(EngineUse(synthesize.answerer, "synthesize.answer", synthesize.answer))
        return uses

    def forecast(self, sizes: Sizes) -> Requests:
        """One request for neglect, two for each of the others, one to complete a query."""
        settings, basis = sizes.recipe.capo, sizes.basis
        confirmed = 1.0 if sizes.recipe.select.judge is None else basis.confirmed.value
        queries = min(sizes.recipe.select.limit, sizes.cued * confirmed)
        answer, query = sizes.answer(settings.sampling.max_tokens), basis.follow_up.value
        history = sizes.recipe.synthesize.max_turns / 2 * (query + answer)
        completed = Load("", 2, history + 2 * query + 150, answer + query)
        each: dict[str, Load] = {
            "neglect": Load("", 1, query + 12, answer),
            "hallucination": Load("", 2, 2 * query + 200, answer + 20),
            "misunderstanding": Load("", 2, 2 * query + PICK_TOKENS + 200, answer + 4),
        }
        asked = [each.get(name, completed) for name in settings.strategies]
        asked += [completed] if settings.oracle else []
        loads = [
            Load(
                settings.writer,
                queries * load.requests,
                queries * load.prompt_tokens,
                queries * load.completion_tokens,
            )
            for load in asked
        ]
        if settings.judge is not None:
            pairs = 2 * queries * len(settings.strategies)
            read = history + 2 * answer + PAIR_TOKENS
            loads.append(Load(settings.judge, pairs, pairs * read, pairs * 4))
        if settings.placebo:
            answerer = sizes.recipe.synthesize.answerer
            loads.append(Load(answerer, queries, queries * (history + query), queries * answer))
        return Requests(tuple(loads), settings.queries_in_flight, rounds=2)

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
        reasons = {strategy: dict(counts) for strategy, counts in rejected.items()}
        asked, pairs = summed["asked"], summed["pairs"]
        counts = {name: summed[name] for name in ("asked", "pairs", "truncated", "asked_back")}
        return {
            **counts,
            "yield": _shares(pairs, asked),
            "shares": {name: _shares(summed[name], asked) for name in ("truncated", "asked_back")},
            "words": {
                side: _shares(summed[f"{side}_words"], pairs, 1) for side in ("chosen", "rejected")
            },
            "chosen_longer": _shares(summed["chosen_longer"], pairs),
            "rejected": reasons,
        }


def _shares(
    part: dict[str, int], whole: dict[str, int], digits: int = 4
) -> dict[str, float | None]:
    """Of each strategy; None of nothing."""
    return {
        strategy: round(part[strategy] / number, digits) if number else None
        for strategy, number in whole.items()
    }


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
        self._placebos: dict[str, str | None] = {}
        self.total = queries * len(self._settings.strategies)
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in _COUNTED}
        self.rejected: dict[str, Counter[str]] = {
            strategy: Counter() for strategy in self._settings.strategies
        }

    async def pair(self, query: ContextQuery) -> None:
        """Find out what each strategy gives for one query."""
        refusal = await self._chosen_refused(query)
        for strategy in self._settings.strategies:
            outcome = refusal or await self._outcome(query, strategy)
            self._outcomes[query.id, strategy] = outcome
            self._work.progress(len(self._outcomes), self.total)
        if self._settings.placebo and not refusal:
            self._placebos[query.id] = await second_answer(query, self._work)

    def report(self, query: ContextQuery, strategy: Strategy) -> None:
        outcome = self._outcomes[query.id, strategy]
        self.counts["asked"][strategy] += 1
        self.counts["truncated"][strategy] += _is_cut(outcome)
        pair_id = f"{query.id}:{strategy}"
        if isinstance(outcome, _Refusal):
            self.rejected[strategy][outcome.reason] += 1
            self.counts["asked_back"][strategy] += outcome.reason == "negative_asks_back"
            original = _original(query, strategy, outcome.negative)
            self._work.reject(pair_id, [query.id], outcome.reason, original, outcome.detail)
            return
        self.counts["pairs"][strategy] += 1
        sides = {"chosen": query.response, "rejected": outcome.negative.text}
        words = {side: len(text.split()) for side, text in sides.items()}
        for side, number in words.items():
            self.counts[f"{side}_words"][strategy] += number
        self.counts["chosen_longer"][strategy] += words["chosen"] > words["rejected"]
        row = _row(pair_id, query, strategy, outcome)
        self._work.emit({**row, "placebo": self._placebos.get(query.id)})

    async def _chosen_refused(self, query: ContextQuery) -> _Refusal | None:
        """Why no pair can be made of a query's chosen answer, whatever the strategy."""
        problem = chosen_problem(query.response, query.query)
        if not problem and query.response_cut and not self._settings.keep_truncated:
            problem = "the answer in the session was cut at the limit of tokens"
        if problem:
            return _Refusal("chosen_unusable", problem)
        if not self._settings.oracle:
            return None
        writer = self._work.engine(self._settings.writer)
        try:
            complete = await rewrite(query, writer, self._settings.sampling)
            asked: list[Message] = [{"role": "user", "content": complete.text}]
            name = f"{query.id}/oracle"
            answer = await writer.complete(asked, self._settings.sampling, sample=name)
        except RowError as error:
            return _Refusal(error.reason, str(error))
        said = content_words(answer.text) - content_words(query.query)
        if said and not said & content_words(query.response):
            detail = f"to '{complete.text}' the writer answers: {answer.text[:200]}"
            return _Refusal("chosen_unconfirmed", detail)
        return None

    async def _outcome(self, query: ContextQuery, strategy: Strategy) -> _Pair | _Refusal:
        writer = self._work.engine(self._settings.writer)
        seed = self._work.run.recipe.seed
        negative: Negative | None = None
        try:
            negative = await NEGATIVES[strategy](query, writer, self._settings.sampling, seed)
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
    return outcome.negative is not None and is_truncated(outcome.negative.completion)


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
        "chosen_finish_reason": "length" if query.response_cut else "stop",
        "rejected_finish_reason": negative.completion.finish_reason,
        "evidence": negative.evidence,
        "evidence_by": negative.evidence_by,
        "prompt_set": negative.prompt_set,
        "model": negative.completion.model,
        "request_key": negative.completion.request_key,
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
