"""The stage ``capo``: preference pairs whose rejected answer gets the context wrong."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from parrot_core.engines.in_flight import in_flight
from parrot_core.judging.pairwise import PAIR_TOKENS
from parrot_core.lake.manifest import Receipt
from parrot_core.lake.metrics import PreferenceMetrics
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.recipe import ON_POLICY
from parrot_core.stages.base import EngineUse, ShardWork, Stage
from parrot_core.stages.capo.answer_alone import Mean, auc_of
from parrot_core.stages.capo.negatives import ContextQuery
from parrot_core.stages.capo.pairing import COUNTED, Pairing
from parrot_core.stages.capo.select import SelectStage
from parrot_core.stages.fitness import truncation_warnings
from parrot_core.stages.forecasting import Load, Requests, Sizes
from parrot_core.stages.planning import own_models, shards_of

__all__ = ["CapoStage", "SelectStage"]


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
    of the pairs: far from a half, length alone tells the sides apart), ``answer_alone`` (AUC of a
    classifier that sees no more than the answer, see :mod:`.answer_alone`); ``rejected`` by reason.
    With ``capo.history_gain`` also ``history_gain`` of the chosen answers and, by strategy,
    ``margin_gain`` of the pairs that are kept: means, in nats a token.
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
        if ON_POLICY in settings.strategies:
            own = settings.on_policy
            uses.append(EngineUse(own.engine, "capo.sampling", settings.sampling))
            uses.append(EngineUse(own.judge, "capo.sampling", settings.sampling, short=True))
        return uses

    def reads(self, run: Run) -> Sequence[str]:
        """The queries, and what models of this lake are asked."""
        gain = run.recipe.capo.history_gain
        models = own_models(run, self.engines(run))
        if gain is not None and gain.model.startswith("lake:") and "@" not in gain.model:
            models = tuple(dict.fromkeys([*models, gain.model.removeprefix("lake:")]))
        return (*self.inputs, *models)

    def pool(self, run: Run) -> Literal["cpu", "api", "gpu"]:
        """A model that is asked for likelihoods wants a GPU."""
        return "gpu" if run.recipe.capo.history_gain else super().pool(run)

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
        pairing = Pairing(work, len(queries))
        work.expect(pairing.total)
        pairing.measure_queries(queries)
        limit = work.run.recipe.capo.queries_in_flight
        asyncio.run(in_flight(queries, limit, pairing.pair))
        pairing.measure_pairs(queries)
        for query in queries:
            for strategy in work.run.recipe.capo.strategies:
                pairing.report(query, strategy)
        for name, counts in pairing.counts.items():
            work.metric(name, dict(counts))
        work.metric("rejected", {name: dict(counts) for name, counts in pairing.rejected.items()})
        work.metric("history_gain", Mean.of(pairing.gains.values()).to_json())
        margins = {name: Mean.of(gains).to_json() for name, gains in pairing.margins.items()}
        work.metric("margin_gain", margins)
        work.metric("answer_alone", {name: auc_of(each) for name, each in pairing.sides.items()})

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
            for name in COUNTED
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
            "answer_alone": {
                strategy: Mean.over(receipts, "answer_alone", strategy).rounded
                for strategy in strategies
            },
            **_history_gains(run, receipts),
            "rejected": reasons,
        }


def _history_gains(run: Run, receipts: Sequence[Receipt]) -> dict[str, Any]:
    if run.recipe.capo.history_gain is None:
        return {}
    return {
        "history_gain": Mean.over(receipts, "history_gain").rounded,
        "margin_gain": {
            strategy: Mean.over(receipts, "margin_gain", strategy).rounded
            for strategy in run.recipe.capo.strategies
        },
    }


def _shares(
    part: dict[str, int], whole: dict[str, int], digits: int = 4
) -> dict[str, float | None]:
    """Of each strategy; None of nothing."""
    return {
        strategy: round(part[strategy] / number, digits) if number else None
        for strategy, number in whole.items()
    }
