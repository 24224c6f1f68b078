"""What the report draws of an evaluation: scores by category, and outcomes against the baseline."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from parrot_core.analysis.results.scores import Scores
from parrot_core.analysis.results.win_rates import Outcomes, WinRates, win_rates
from parrot_core.lake.metrics import ScoreMetrics
from parrot_core.monitor import RunState
from parrot_core.report.charts import Series, line_chart
from parrot_core.report.radar import RadarLine, radar_chart
from parrot_core.stages.evaluation.sessions import SessionFigures
from parrot_core.stages.evaluation.summary import Estimate, SubjectSummary
from parrot_core.text.wording import bounds

_BAR = 240
_NONE = WinRates((), "", {})


@dataclass(frozen=True, slots=True)
class EvaluationPage:
    """Pictures of an evaluation; each is empty where there is nothing to draw."""

    radar: Markup
    rates: WinRates | None
    rates_by_turn: Markup
    tones: Mapping[str, int]  # a subject has one colour in all of them
    sessions: tuple[SessionFigures, ...] = ()  # where a session was held twice, or has a control


def evaluation_page(scores: Scores | None, state: RunState) -> EvaluationPage:
    rates = win_rates(state.making("comparisons"))
    names = [s.subject for s in (*(scores.subjects if scores else ()), *(rates or _NONE).subjects)]
    tones = {name: tone(place) for place, name in enumerate(dict.fromkeys(names))}
    title = "Win rate by turn, one line a subject; 0.5 is as good as the baseline"
    won = by_turn([(name, each, tones[name]) for name, each, _ in named(rates)], title, 1.0)
    return EvaluationPage(score_radar(scores), rates, won, tones, shown_sessions(state))


def shown_sessions(state: RunState) -> tuple[SessionFigures, ...]:
    """What sessions came to; nothing where each was held once and has no single-turn control."""
    stage = state.making("judgments")
    kept = ScoreMetrics.read(stage.metrics if stage else {}).sessions
    found = tuple(map(SessionFigures.from_json, kept.values()))
    return found if any(each.repeats > 1 or each.single_turn for each in found) else ()


def score_radar(scores: Scores | None) -> Markup:
    """The subjects' mean scores by category."""
    return radar(named(scores), "Mean score by category, one line a subject")


Named = tuple[str, SubjectSummary, int]
"""What a line is called, its figures and its tone."""


def named(found: Scores | WinRates | None) -> list[Named]:
    subjects = found.subjects if found is not None else ()
    return [(each.subject, each, tone(place)) for place, each in enumerate(subjects)]


def turn_line(name: str, summary: SubjectSummary, tone: int) -> Series:
    points = tuple((float(turn), each.mean) for turn, each in sorted(summary.by_turn.items()))
    return Series(name, points, tone)


def by_turn(lines: Iterable[Named], title: str, highest: float = 10.0) -> Markup:
    """Means by turn; scores begin at 1, rates at 0."""
    return line_chart(
        [turn_line(*each) for each in lines],
        title=title,
        x_label="turn",
        y_range=(1.0 if highest > 1 else 0.0, highest),
        whole_steps=True,
    )


def radar(lines: Sequence[Named], title: str) -> Markup:
    """Mean scores by category."""
    spokes = [
        RadarLine(name, {k: mean.mean for k, mean in each.by_category.items()}, tone)
        for name, each, tone in lines
    ]
    axes = sorted({category for _, each, _ in lines for category in each.by_category})
    return radar_chart(axes, spokes, title=title, value_range=(1.0, 10.0))


def tone(place: int) -> int:
    """The colour of the subject or run in this place."""
    return place % 4 + 1


def interval(estimate: Estimate | None) -> str:
    """``0.45 to 0.62``; a dash where there is none."""
    return "-" if estimate is None else bounds(estimate.low, estimate.high)


def signed_interval(estimate: Estimate) -> str:
    """``-0.12 to +0.30``; a dash where there is none."""
    return bounds(estimate.low, estimate.high, "+")


def outcome_bar(outcomes: Outcomes) -> Markup:
    """Won, tied and lost as one bar; empty when nothing was compared."""
    if not outcomes.total:
        return Markup("")
    parts, start = [], 0.0
    shares = (("won", outcomes.won), ("tied", outcomes.tied), ("lost", outcomes.lost))
    for name, n in shares:
        width = _BAR * n / outcomes.total
        parts.append(
            Markup('<rect class="{}" x="{:.1f}" y="0" width="{:.1f}" height="14"/>').format(
                name, start, width
            )
        )
        start += width
    said = ", ".join(f"{name} {n}" for name, n in shares)
    return Markup(
        '<svg class="outcomes" viewBox="0 0 {} 14" role="img" aria-label="{}">{}</svg>'
    ).format(_BAR, said, Markup("").join(parts))
