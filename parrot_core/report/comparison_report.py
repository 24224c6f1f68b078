"""The comparison of several runs: one HTML file that needs nothing else, as the report is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from parrot_core.analysis.comparison.settings import value_text
from parrot_core.analysis.comparison.side_by_side import (
    MEASURED,
    RunComparison,
    RunFacts,
    compare_runs,
)
from parrot_core.analysis.results.cost import by_engine
from parrot_core.lake.lake import Lake
from parrot_core.monitor import StageSpec
from parrot_core.monitor.costs import cost_of
from parrot_core.monitor.state import StageState
from parrot_core.report.charts import Series, line_chart
from parrot_core.report.evaluation_page import by_turn, outcome_bar, radar, signed_interval, tone
from parrot_core.report.html_report import TRAINING_WORDS, render_page
from parrot_core.stages.evaluation.summary import Estimate, SubjectSummary

CURVES = (
    ("loss", "Training loss"),
    ("rewards/margins", "Reward margin, chosen above rejected"),
    ("rewards/accuracies", "Share of pairs with the chosen answer ahead"),
)
"""Curves that are drawn over each other, and how they are called."""


@dataclass(frozen=True, slots=True)
class SubjectView:
    """One subject in all runs; None where a run didn't score it."""

    name: str
    scores: tuple[SubjectSummary | None, ...]
    differences: tuple[Estimate | None, ...]  # against the first run, whose own is None
    paired: tuple[int, ...]  # answers behind each difference
    by_turn: Markup
    radar: Markup


def build_comparison(
    lake: Lake, names: Sequence[str], stages: Iterable[StageSpec], now: datetime | None = None
) -> str:
    """Read several runs from the lake and render their comparison.

    Args:
        names: the runs; the others are compared with the first.
        now: the time the page bears; the present unless given.

    Raises:
        MissingRun: the lake holds no run of one of the names.
        UserError: there are not two runs, or one is named twice.
    """
    return render_comparison(compare_runs(lake, names, stages, now or datetime.now(UTC)))


def render_comparison(found: RunComparison) -> str:
    """Render a comparison as one HTML page; a part without facts says so."""
    return render_page(
        "comparison.html.j2",
        found=found,
        runs=found.runs,
        read_at=found.runs[0].state.read_at,
        stages=_stages(found),
        reasons=_reasons(found),
        data=[(name, found.numbers(name), found.shares(name)) for name in MEASURED],
        trainings=_trainings(found),
        subjects=[_subject(found, name) for name in found.subjects],
        notes=_notes(found),
        rates=_rates(found),
        stage_costs=_stage_costs(found),
        engine_costs=_engine_costs(found),
        value_text=value_text,
        signed=signed_interval,
        outcome_bar=outcome_bar,
        tone=tone,
    )


def _name(run: RunFacts) -> str:
    return run.state.name


def _stages(found: RunComparison) -> list[tuple[str, list[StageState | None]]]:
    """Stages that keep accounts, with each run's state of it; None where it isn't published."""
    rows = []
    for position, spec in enumerate(found.runs[0].state.stages):
        sides = [run.state.stages[position] for run in found.runs]
        if spec.kind == "dataset" and any(side.published for side in sides):
            rows.append((spec.name, [side if side.published else None for side in sides]))
    return rows


def _reasons(found: RunComparison) -> list[tuple[str, str, list[int]]]:
    """(stage, reason, rejects in each run), where any run has some."""
    rows = []
    for name, sides in _stages(found):
        reasons = dict.fromkeys(why for side in sides if side for why in side.rejected)
        for why in reasons:
            counts = [side.rejected.get(why, 0) if side else 0 for side in sides]
            if any(counts):
                rows.append((name, why, counts))
    return rows


@dataclass(frozen=True, slots=True)
class TrainingView:
    """One training in all runs: held-out figures by name, and its curves over each other."""

    title: str
    figures: tuple[tuple[str, tuple[tuple[float | None, float | None], ...]], ...]
    charts: tuple[tuple[str, Markup], ...]


def _trainings(found: RunComparison) -> list[TrainingView]:
    names = dict.fromkeys(name for run in found.runs for name in run.trainings)
    return [_training(found, name) for name in names]


def _training(found: RunComparison, name: str) -> TrainingView:
    facts = [run.trainings.get(name) for run in found.runs]
    figures = dict.fromkeys(
        figure for each in facts if each for figure, _, _ in each.pairs if figure != "tokens"
    )
    before_after = tuple(
        (f, tuple((e.before.get(f), e.after.get(f)) if e else (None, None) for e in facts))
        for f in figures
    )
    title = TRAINING_WORDS.get(name, (name, ""))[0]
    charts = []
    for curve, words in CURVES:
        lines = [
            Series(_name(run), each.points, tone(place))
            for place, (run, training) in enumerate(zip(found.runs, facts, strict=True))
            if training
            for each in training.curves
            if each.name == curve
        ]
        label = f"{words} of {title} over steps, one line a run"
        chart = line_chart(lines, title=label, x_label="optimiser step")
        if chart:
            charts.append((words, chart))
    return TrainingView(title, before_after, tuple(charts))


def _subject(found: RunComparison, name: str) -> SubjectView:
    scores = [_scored(run, name) for run in found.runs]
    paired = [None, *(pairs.get(name) for pairs in found.paired)]
    lines = [
        (_name(run), each, tone(place))
        for place, (run, each) in enumerate(zip(found.runs, scores, strict=True))
        if each
    ]
    return SubjectView(
        name,
        tuple(scores),
        tuple(each.difference.overall if each else None for each in paired),
        tuple(each.difference.overall.n if each else 0 for each in paired),
        by_turn(lines, f"Mean score of {name} by turn, one line a run"),
        radar(lines, f"Mean score of {name} by category, one line a run"),
    )


def _scored(run: RunFacts, subject: str) -> SubjectSummary | None:
    subjects = run.scores.subjects if run.scores else ()
    return next((each for each in subjects if each.subject == subject), None)


def _notes(found: RunComparison) -> dict[str, list[str]]:
    """What is to be said of the runs' judges, and of which runs."""
    notes: dict[str, list[str]] = {}
    for run in found.runs:
        if run.scores and run.scores.note:
            notes.setdefault(run.scores.note, []).append(_name(run))
    return notes


def _rates(found: RunComparison) -> list[tuple[str, list[tuple[str, SubjectSummary, Markup]]]]:
    """By subject, the win rates of the runs that compared it: (run, rate, bar)."""
    rows: dict[str, list[tuple[str, SubjectSummary, Markup]]] = {}
    for run in found.runs:
        for each in run.rates.subjects if run.rates else ():
            assert run.rates is not None
            bar = outcome_bar(run.rates.outcomes[each.subject])
            against = f"{_name(run)}, against {run.rates.baseline}"
            rows.setdefault(each.subject, []).append((against, each, bar))
    return list(rows.items())


def _stage_costs(found: RunComparison) -> list[tuple[str, list[StageState]]]:
    rows = []
    for position, spec in enumerate(found.runs[0].state.stages):
        sides = [run.state.stages[position] for run in found.runs]
        if any(side.status != "pinned" and side.seconds for side in sides):
            rows.append((spec.name, sides))
    return rows


def _engine_costs(found: RunComparison) -> list[tuple[str, list[str]]]:
    """By engine, the cost of each run; a dash where a run didn't use it."""
    used = [(by_engine(run.state), run.state.header.recipe) for run in found.runs]
    names = dict.fromkeys(name for each, _ in used for name in each)
    return [
        (name, [cost_of([(name, e[name])], recipe) if name in e else "-" for e, recipe in used])
        for name in names
    ]
