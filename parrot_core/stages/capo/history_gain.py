"""What the history adds, by the likelihoods of a local model: to an answer, and to a preference.

A query whose chosen answer is as likely without its history doesn't depend on it. A pair whose
margin is as large without its history teaches style: the model would prefer the chosen answer
whatever had been said.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from parrot_core.engines.types import Message
from parrot_core.lake.run import Run
from parrot_core.models.references import resolve_model
from parrot_core.recipe import HistoryGain
from parrot_core.stages.capo.negatives import ContextQuery
from parrot_core.stages.likelihoods import LikelihoodRequest, Scorer, Scores, per_token, scores_of
from parrot_core.telemetry.progress import SILENT, ProgressReporter


@dataclass(frozen=True, slots=True)
class HistoryGains:
    """A local model that is asked with and without a query's history; both are nats a token."""

    settings: HistoryGain
    model: Path | str
    folder: Path
    reporter: ProgressReporter = SILENT

    @classmethod
    def of_run(cls, run: Run, settings: HistoryGain, reporter: ProgressReporter) -> "HistoryGains":
        """With the model that the recipe names.

        Args:
            reporter: is told of each prompt that was scored.

        Raises:
            MissingVersion: it isn't in the lake.
        """
        folder = run.work_dir / "capo"
        folder.mkdir(parents=True, exist_ok=True)
        return cls(settings, resolve_model(settings.model, run), folder, reporter)

    def of_answers(self, queries: Sequence[ContextQuery]) -> dict[str, float]:
        """log p(chosen | history) − log p(chosen | query alone), by query; none that doesn't fit.

        Raises:
            ParrotError: the model couldn't be loaded or run.
        """
        scores = self._scores((query, ()) for query in queries)
        return {
            id: per_token(own[0]) - per_token(alone[0])
            for id, own, alone in _both(scores, (query.id for query in queries))
        }

    def of_margins(
        self, negatives: Mapping[str, tuple[ContextQuery, Mapping[str, str]]]
    ) -> dict[tuple[str, str], float]:
        """What the history adds to the margin of the chosen answer over a negative.

        Args:
            negatives: of each query by its id, the texts by strategy.

        Raises:
            ParrotError: the model couldn't be loaded or run.
        """
        scores = self._scores((query, tuple(texts.values())) for query, texts in negatives.values())
        found = {}
        for id, own, alone in _both(scores, negatives):
            for place, strategy in enumerate(negatives[id][1], 1):
                margins = [per_token(each[0]) - per_token(each[place]) for each in (own, alone)]
                found[id, strategy] = margins[0] - margins[1]
        return found

    def enough(self, gains: Mapping[str, float]) -> set[str]:
        """The queries with a gain of at least ``min`` and among the ``share`` that gain most."""
        able = sorted((id for id in gains if gains[id] >= self.settings.min), key=gains.__getitem__)
        return set(able[len(able) - ceil(self.settings.share * len(able)) :])

    def _scores(self, asked: Iterable[tuple[ContextQuery, Sequence[str]]]) -> Scores:
        requests = []
        for query, negatives in asked:
            texts = (query.response, *negatives)
            answers: list[list[Message]] = [[{"role": "assistant", "content": t}] for t in texts]
            last: Message = {"role": "user", "content": query.query}
            system = [message for message in query.history[:1] if message["role"] == "system"]
            for name, before in (("own", query.history), ("alone", system)):
                requests.append(LikelihoodRequest(f"{query.id}/{name}", [*before, last], answers))
        label = self.settings.model.replace("/", "-").replace(":", "-")
        scorer = Scorer(label, self.model)
        return scores_of(scorer, requests, self.settings.max_length, self.folder, self.reporter)


_Found = list[tuple[float, int]]


def _both(scores: Scores, ids: Iterable[str]) -> Iterable[tuple[str, _Found, _Found]]:
    for id in ids:
        own, alone = scores[f"{id}/own"], scores[f"{id}/alone"]
        if own is not None and alone is not None:
            yield id, own, alone
