"""The pairs of one shard in the making: what each strategy gives for each query, and what not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from parrot_core.engines.types import Message, RowError
from parrot_core.judging.pairwise import compare
from parrot_core.recipe import ON_POLICY, Strategy
from parrot_core.stages.base import Row, ShardWork
from parrot_core.stages.capo.gates import chosen_problem, evidence_ignored, negative_problem
from parrot_core.stages.capo.history_gain import HistoryGains
from parrot_core.stages.capo.negatives import ContextQuery, Negative, Writers, content_words
from parrot_core.stages.capo.placebo import second_answer
from parrot_core.stages.capo.rewriting import rewrite
from parrot_core.stages.capo.strategies import NEGATIVES
from parrot_core.stages.fitness import fit_text, is_truncated
from parrot_core.telemetry.progress import ProgressReporter

COUNTED = (
    "asked",
    "pairs",
    "truncated",
    "asked_back",
    "chosen_words",
    "rejected_words",
    "chosen_longer",
)


@dataclass(frozen=True, slots=True)
class PairRefusal:
    """Why a pair isn't made, and the negative if one was written."""

    reason: str
    detail: str
    negative: Negative | None = None


@dataclass(frozen=True, slots=True)
class WrittenPair:
    """A negative that passed all checks."""

    negative: Negative
    judge_texts: tuple[str, str] | None
    margin_gain: float | None = None  # what the history adds to its margin, where it was measured


class Pairing:
    """The pairs of one shard in the making."""

    def __init__(self, work: ShardWork, queries: int) -> None:
        self._work = work
        self._settings = work.run.recipe.capo
        self._outcomes: dict[tuple[str, Strategy], WrittenPair | PairRefusal] = {}
        self._placebos: dict[str, str | None] = {}
        gain = self._settings.history_gain
        reporter = ProgressReporter(self._scored)
        self._model = HistoryGains.of_run(work.run, gain, reporter) if gain else None
        self._prompts_scored = 0
        self.gains: dict[str, float] = {}
        self._enough: set[str] = set()
        self.total = queries * len(self._settings.strategies)
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}
        self.rejected: dict[str, Counter[str]] = {
            strategy: Counter() for strategy in self._settings.strategies
        }
        self.sides: dict[str, list[tuple[str, str]]] = {  # chosen and rejected texts
            strategy: [] for strategy in self._settings.strategies
        }
        self.margins: dict[str, list[float]] = {name: [] for name in self._settings.strategies}

    def measure_queries(self, queries: Sequence[ContextQuery]) -> None:
        """Find out what its history adds to each chosen answer, before negatives are bought.

        Raises:
            ParrotError: the model couldn't be loaded or run.
        """
        if self._model is not None:
            usable = [query for query in queries if not self._problem(query)]
            self.gains = self._model.of_answers(usable)
            self._enough = self._model.enough(self.gains)

    def measure_pairs(self, queries: Sequence[ContextQuery]) -> None:
        """Refuse the pairs whose margin is no larger for the history.

        Raises:
            ParrotError: the model couldn't be loaded or run.
        """
        if self._model is None:
            return
        negatives: dict[str, tuple[ContextQuery, dict[str, str]]] = {}
        for query in queries:
            for strategy in self._settings.strategies:
                if isinstance(pair := self._outcomes[query.id, strategy], WrittenPair):
                    texts = negatives.setdefault(query.id, (query, {}))[1]
                    texts[strategy] = pair.negative.text
        for key, gain in self._model.of_margins(negatives).items():
            pair = self._outcomes[key]
            assert isinstance(pair, WrittenPair)
            if gain < self._model.settings.min_margin:
                detail = f"the history adds {gain:.3f} nats a token to the margin"
                self._outcomes[key] = PairRefusal("margin_without_history", detail, pair.negative)
            else:
                self._outcomes[key] = replace(pair, margin_gain=gain)

    def _scored(self, prompts: int) -> None:
        """Shown, and a stop is heeded, while a model scores: no pair is done by that."""
        self._prompts_scored += prompts
        self._work.progress(len(self._outcomes), self.total, scored=self._prompts_scored)

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
        if isinstance(outcome, PairRefusal):
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
        self.sides[strategy].append((query.response, outcome.negative.text))
        if outcome.margin_gain is not None:
            self.margins[strategy].append(outcome.margin_gain)
        row = _row(pair_id, query, strategy, outcome)
        more = {"placebo": self._placebos.get(query.id), "history_gain": self.gains.get(query.id)}
        self._work.emit({**row, **more})

    def _problem(self, query: ContextQuery) -> str:
        earlier = (m["content"] for m in query.history if m["role"] == "assistant")
        problem = chosen_problem(query.response, query.query, earlier)
        if not problem and query.response_cut and not self._settings.keep_truncated:
            problem = "the answer in the session was cut at the limit of tokens"
        return problem

    async def _chosen_refused(self, query: ContextQuery) -> PairRefusal | None:
        """Why no pair can be made of a query's chosen answer, whatever the strategy."""
        if problem := self._problem(query):
            return PairRefusal("chosen_unusable", problem)
        if query.id in self.gains and query.id not in self._enough:
            detail = f"{self.gains[query.id]:.3f} nats a token"
            return PairRefusal("history_adds_little", detail)
        if not self._settings.oracle:
            return None
        writer = self._work.engine(self._settings.writer)
        try:
            complete = await rewrite(query, writer, self._settings.sampling)
            asked: list[Message] = [{"role": "user", "content": complete.text}]
            name = f"{query.id}/oracle"
            answer = await writer.complete(asked, self._settings.sampling, sample=name)
        except RowError as error:
            return PairRefusal(error.reason, str(error))
        said = content_words(answer.text) - content_words(query.query)
        if said and not said & content_words(query.response):
            detail = f"to '{complete.text}' the writer answers: {answer.text[:200]}"
            return PairRefusal("chosen_unconfirmed", detail)
        return None

    async def _outcome(self, query: ContextQuery, strategy: Strategy) -> WrittenPair | PairRefusal:
        seed = self._work.run.recipe.seed
        negative: Negative | None = None
        try:
            writers = self._writers(strategy)
            negative = await NEGATIVES[strategy](query, writers, self._settings.sampling, seed)
            keep = self._settings.keep_truncated
            text = fit_text(negative.completion, keep_truncated=keep, empty="negative_empty")
            negative = replace(negative, text=text)
            problem = negative_problem(negative.text, query.response)
            if not problem and evidence_ignored(text, negative.about, query.query, query.response):
                problem = "evidence_ignored"
            if problem:
                return PairRefusal(problem, "", negative)
            return await self._judged(query, strategy, negative)
        except RowError as error:
            return PairRefusal(error.reason, str(error), negative)

    def _writers(self, strategy: Strategy) -> Writers:
        engine, settings = self._work.engine, self._settings
        if strategy != ON_POLICY:
            return Writers(engine(settings.writer))
        named = settings.on_policy
        return Writers(engine(settings.writer), engine(named.engine), engine(named.judge))

    async def _judged(
        self, query: ContextQuery, strategy: Strategy, negative: Negative
    ) -> WrittenPair | PairRefusal:
        """The pair, if there is no judge or it prefers the chosen answer."""
        if self._settings.judge is None:
            return WrittenPair(negative, None)
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
            return PairRefusal("unparsable_verdict", said, negative)
        if comparison.winner != "first":
            return PairRefusal("negative_as_good", said, negative)
        return WrittenPair(negative, comparison.texts)


def _is_cut(outcome: WrittenPair | PairRefusal) -> bool:
    """Whether the negative reached the limit of tokens, be it kept or refused for it."""
    if isinstance(outcome, PairRefusal) and outcome.reason == "truncated":
        return True
    return outcome.negative is not None and is_truncated(outcome.negative.completion)


def _row(pair_id: str, query: ContextQuery, strategy: Strategy, pair: WrittenPair) -> Row:
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
        "margin_gain": pair.margin_gain,
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
