"""Preference accuracy: how often a model finds the chosen answer likelier than a negative.

It needs no judge: each pair asks whether log p(chosen | prompt) > log p(rejected | prompt), by
kind of negative (Sun et al. 2024, §3.3, Table 6) and by turn, on pairs that were held out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from parrot_core.analysis.likelihood.held_out_pairs import (
    SEEN,
    ModelName,
    QueryPairs,
    Seen,
    by_query,
    learned_by,
    measured,
)
from parrot_core.analysis.likelihood.histories import (
    HISTORIES,
    History,
    history_gains,
    with_history,
)
from parrot_core.errors import UserError
from parrot_core.execution.runs import work_folder
from parrot_core.lake.lake import Lake
from parrot_core.models.references import model_cache
from parrot_core.stages.evaluation.summary import Judged, summarise
from parrot_core.stages.likelihoods import LikelihoodRequest, Scorer, Scores, per_token, scores_of
from parrot_core.telemetry.progress import SILENT, ProgressReporter
from parrot_core.text.text_table import Grid
from parrot_core.text.wording import with_bounds

Measure = Literal["mean", "sum", "margin"]
MEASURES: dict[Measure, str] = {
    "mean": "% of pairs in which the chosen answer is likelier a token",
    "sum": "% of pairs in which the whole chosen answer is likelier",
    "margin": "log-likelihood a token of the chosen answer above the rejected one's, in nats",
}


PLACEBO = "a second answer after the same history"
"""How tables name the placebo; of its pairs 50 % are expected."""


@dataclass(frozen=True, slots=True)
class AccuracySettings:
    """What to measure on."""

    max_length: int = 2048  # tokens of prompt and answer; older turns go first
    limit: int | None = 500  # queries of each kind
    trained: bool = False  # pairs that a compared model was trained on, too
    histories: bool = False  # also without their history, and with another session's
    seed: int = 42


def accuracy_file(run: str) -> str:
    """Where a run's newest comparison is kept in the lake."""
    return f"runs/{run}/preference-accuracy.json"


def measure_accuracy(
    lake: Lake,
    models: Sequence[ModelName],
    preferences: str,
    settings: AccuracySettings,
    reporter: ProgressReporter = SILENT,
) -> dict[str, Any]:
    """Compare models on the pairs of one version of ``preferences``.

    Args:
        models: the first one is what the others are set against.
        reporter: is told of each query that a model has scored.

    Returns:
        JSON: ``queries`` and ``pairs`` that there are, ``measured`` and ``left_out`` pairs by
        reason, and ``parts``: for each kind of held-out query that there is, its ``queries``,
        ``pairs`` and for every model and measure the estimates (mean, n, 95 % bootstrap interval
        over queries) ``overall``, ``by_turn``, ``by_strategy`` and ``by_strategy_turn``, with
        ``gain`` holding the same for the difference to the first model, pair by pair, and
        ``placebo`` the estimate against second answers (None where there are none). With
        ``settings.histories`` also ``histories``: for every model and prompt the accuracy and the
        margin, and ``history_gain``, what its history adds to log p of a chosen answer, a token.

    Raises:
        MissingVersion: a model, the pairs or something they were trained on is missing.
        ParrotError: a model couldn't be loaded or run.
    """
    folder = work_folder(lake, preferences) / "preference-accuracy"
    folder.mkdir(parents=True, exist_ok=True)
    learned = [learned_by(lake, model, folder) for model in models]
    rows = lake.dataset("preferences", preferences).rows()
    queries = by_query(rows, learned)
    chosen = measured(queries, settings.limit, settings.seed, trained=settings.trained)
    if not chosen:
        raise UserError(
            f"preferences@{preferences}: none of its {len(queries)} queries was held out by all of "
            f"{', '.join(map(str, models))}"
        )
    scores = {
        str(model): _scores(lake, model, settings, folder, reporter, chosen) for model in models
    }
    fitting = [q for q in chosen if all(each[q.id] is not None for each in scores.values())]
    pairs, taken = (sum(len(q.rejected) for q in some) for some in (queries, fitting))
    too_long = sum(len(q.rejected) for q in chosen) - taken
    histories = {}
    if settings.histories:
        histories = {
            str(model): _by_history(
                fitting,
                scores[str(model)],
                partial(_scores, lake, model, settings, folder, reporter),
                settings.seed,
            )
            for model in models
        }
    return {
        "histories": histories,
        "preferences": preferences,
        "models": [str(model) for model in models],
        "max_length": settings.max_length,
        "seed": settings.seed,
        "queries": len(queries),
        "pairs": pairs,
        "measured": taken,
        "left_out": _left_out(queries, chosen, settings.trained) | {"too_long": too_long},
        "parts": {
            seen: _part([q for q in fitting if q.seen == seen], scores, settings.seed)
            for seen in SEEN
            if any(q.seen == seen for q in fitting)
        },
    }


def _by_history(
    queries: Sequence[QueryPairs],
    own: Scores,
    score: Callable[[Sequence[QueryPairs]], Scores],
    seed: int,
) -> dict[str, Any]:
    """One model's figures after each kind of prompt, over the queries that fit with all of them."""
    scores: dict[History, Scores] = {"own": own}
    for history in HISTORIES:
        if history != "own":
            scores[history] = score(with_history(queries, history))
    fitting = [q for q in queries if all(found[q.id] is not None for found in scores.values())]
    if not fitting:
        return {}
    gains = history_gains(fitting, scores["own"], scores["none"], "gain")
    return {
        "queries": len(fitting),
        "history_gain": summarise(gains, seed)[0].to_json()["overall"],
        "prompts": {
            history: {
                measure: _overall(points_of(fitting, found, history, measure), seed)
                for measure in ("mean", "margin")
            }
            for history, found in scores.items()
        },
        "placebo": {
            measure: _overall(points_of(fitting, own, "placebo", measure, placebo=True), seed)
            for measure in ("mean", "margin")
        },
    }


def _overall(points: Sequence[Judged], seed: int) -> dict[str, Any] | None:
    return summarise(points, seed)[0].to_json()["overall"] if points else None


def _left_out(
    queries: Sequence[QueryPairs], chosen: Sequence[QueryPairs], trained: bool
) -> dict[str, int]:
    """Pairs that were not measured: trained on, or over the limit."""
    taken = {query.id for query in chosen}
    counts = {"trained_on": 0, "over_limit": 0}
    for query in queries:
        if query.id not in taken:
            reason = "trained_on" if query.seen == "pairs" and not trained else "over_limit"
            counts[reason] += len(query.rejected)
    return counts


def _scores(
    lake: Lake,
    model: ModelName,
    settings: AccuracySettings,
    folder: Path,
    reporter: ProgressReporter,
    queries: Sequence[QueryPairs],
) -> Scores:
    """Have a process score every answer of every query."""
    place = lake.model(model.name, model.version).local_copy(model_cache() / "lake")
    asked = (LikelihoodRequest(q.id, q.prompt, q.answers) for q in queries)
    return scores_of(Scorer(str(model), place), asked, settings.max_length, folder, reporter)


def _part(queries: Sequence[QueryPairs], scores: Mapping[str, Scores], seed: int) -> dict[str, Any]:
    points = {
        (model, measure): points_of(queries, found, model, measure)
        for model, found in scores.items()
        for measure in MEASURES
    }
    first = next(iter(scores))
    return {
        "queries": len(queries),
        "pairs": sum(len(query.rejected) for query in queries),
        "by_model": {
            model: {
                measure: {
                    **_estimates(points[model, measure], seed),
                    "gain": _estimates(_less(points[model, measure], points[first, measure]), seed),
                    "placebo": _overall(
                        points_of(queries, scores[model], model, measure, placebo=True), seed
                    ),
                }
                for measure in MEASURES
            }
            for model in scores
        },
    }


def points_of(
    queries: Sequence[QueryPairs],
    scores: Scores,
    model: str,
    measure: Measure,
    *,
    placebo: bool = False,
) -> list[Judged]:
    """One figure a pair: 1 where the chosen answer is likelier, else 0; or its margin.

    With ``placebo`` the second answers after the same histories stand in for the negatives.
    """
    points: list[Judged] = []
    for query in queries:
        found = scores[query.id]
        assert found is not None
        chosen, *others = found
        if placebo:
            compared = {"placebo": others[-1]} if query.placebo else {}
        else:
            compared = dict(zip(query.rejected, others, strict=False))  # the placebo is left over
        for strategy, negative in compared.items():
            above = per_token(chosen) - per_token(negative)
            if measure == "sum":
                above = chosen[0] - negative[0]
            value = above if measure == "margin" else float(above > 0)
            points.append(Judged(model, query.id, strategy, query.turn, value))
    return points


def _less(points: Sequence[Judged], baseline: Sequence[Judged]) -> list[Judged]:
    return [
        Judged(a.subject, a.session, a.category, a.turn, a.score - b.score)
        for a, b in zip(points, baseline, strict=True)
    ]


def _estimates(points: Sequence[Judged], seed: int) -> dict[str, Any]:
    (whole,) = summarise(points, seed)
    data = whole.to_json()
    strategies = sorted({point.category for point in points})
    return {
        "overall": data["overall"],
        "by_turn": data["by_turn"],
        "by_strategy": data["by_category"],
        "by_strategy_turn": {
            name: summarise([p for p in points if p.category == name], seed)[0].to_json()["by_turn"]
            for name in strategies
        },
    }


def accuracy_grids(result: Mapping[str, Any]) -> list[Grid]:
    """The tables of a comparison: for each kind of pairs, accuracy by negative and by turn."""
    grids = [
        _grid(result, seen, measure) for seen in result["parts"] for measure in ("mean", "margin")
    ]
    return [*grids, *_history_grid(result.get("histories") or {})]


def _history_grid(histories: Mapping[str, Any]) -> Iterator[Grid]:
    found = {model: each for model, each in histories.items() if each}
    if not found:
        return
    rows = [
        (words, *(_shown(each["prompts"][history]["mean"], "mean") for each in found.values()))
        for history, words in HISTORIES.items()
    ]
    if all(each["placebo"]["mean"] for each in found.values()):
        placebos = (_shown(each["placebo"]["mean"], "mean") for each in found.values())
        rows.append((PLACEBO, *placebos))
    gains = (_shown(each["history_gain"], "margin") for each in found.values())
    rows.append(("what the history adds to the chosen answer, nats a token", *gains))
    yield Grid(MEASURES["mean"].capitalize() + ", by prompt", ("prompt", *found), tuple(rows))


def _grid(result: Mapping[str, Any], seen: Seen, measure: Measure) -> Grid:
    part = result["parts"][seen]
    models = {model: found[measure] for model, found in part["by_model"].items()}
    first = next(iter(models.values()))
    slices: list[tuple[str, tuple[str, ...]]] = [("all", ("overall",))]
    slices += [(name, ("by_strategy", name)) for name in first["by_strategy"]]
    slices += [(f"turn {turn}", ("by_turn", turn)) for turn in first["by_turn"]]
    if first["placebo"]:
        slices.append((PLACEBO, ("placebo",)))
    slices.append((f"gain over {next(iter(models))}", ("gain", "overall")))
    rows = [
        (
            name,
            str(_at(first, path)["n"]),
            *(_shown(_at(found, path), measure) for found in models.values()),
        )
        for name, path in slices
    ]
    counted = f"{part['pairs']} pairs of {part['queries']} queries"
    title = f"{MEASURES[measure]}; {SEEN[seen]}: {counted}"
    return Grid(title[0].upper() + title[1:], ("pairs", "n", *models), tuple(rows))


def _at(found: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    for key in path:
        found = found[key]
    return found


def _shown(estimate: Mapping[str, Any], measure: Measure) -> str:
    scale, digits = (1, 3) if measure == "margin" else (100, 1)
    return with_bounds(estimate["mean"], estimate["low"], estimate["high"], digits, scale)
