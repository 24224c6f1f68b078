"""What the judge found in a run: mean scores by turn and category, and who won against whom."""

from collections.abc import Sequence

from dashboard.widgets import block, chart, drawing, line, section, table
from parrot_core.analysis.results.win_rates import WinRates, win_rates
from parrot_core.lake.metrics import ScoreMetrics
from parrot_core.monitor import RunState, StageState
from parrot_core.report.evaluation_page import interval, outcome_bar, tone, turn_line
from parrot_core.stages.evaluation.summary import Estimate, SubjectSummary
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import count

NAME_CHARS = 60


def evaluation_panel(state: RunState) -> None:
    """A section for the scores and one for the comparisons, where the run has them."""
    scored = _scores(state.making("judgments"))
    if scored:
        with section("Evaluation", "Mean scores of the judge, 1 to 10."):
            _overall(scored, "mean score")
            _by_turn(scored, "Mean score by turn")
            _by_category(scored)
    rates = win_rates(state.making("comparisons"))
    if rates is not None:
        against = one_line(rates.baseline, NAME_CHARS)
        why = f"Share of answers preferred to {against}'s, a tie as half; 0.5 is as good."
        with section("Comparisons", why):
            _outcomes(rates)
            _by_turn(rates.subjects, "Win rate by turn")
            _by_category(rates.subjects)


def _scores(stage: StageState | None) -> list[SubjectSummary]:
    if stage is None or not stage.published:
        return []
    found = ScoreMetrics.read(stage.metrics).subjects
    return list(map(SubjectSummary.from_json, found.values()))


def _overall(subjects: Sequence[SubjectSummary], what: str) -> None:
    rows = [
        (each.subject, each.shown_mean, interval(each.overall), count(each.overall.n))
        for each in subjects
    ]
    table(("subject", what, "95 % interval", "answers"), rows, frozenset({1, 2, 3}))


def _outcomes(rates: WinRates) -> None:
    _overall(rates.subjects, "win rate")
    for each in rates.subjects:
        ended = rates.outcomes[each.subject]
        with block("row small outcome"):
            drawing(outcome_bar(ended))
            said = f"{ended.won} won, {ended.tied} tied, {ended.lost} lost"
            line(f"{one_line(each.subject, NAME_CHARS)}: {said}", "soft")


def _by_turn(subjects: Sequence[SubjectSummary], title: str) -> None:
    lines = [
        turn_line(one_line(each.subject, NAME_CHARS), each, tone(place))
        for place, each in enumerate(subjects)
    ]
    with block("plots"):
        chart(lines, title, "turn", whole_steps=True)


def _by_category(subjects: Sequence[SubjectSummary]) -> None:
    names = sorted({name for each in subjects for name in each.by_category})
    if names:
        head = ("category", *(one_line(each.subject, NAME_CHARS) for each in subjects))
        rows = [(name, *(_mean(each.by_category.get(name)) for each in subjects)) for name in names]
        table(head, rows, frozenset(range(1, len(head))))


def _mean(found: Estimate | None) -> str:
    return "–" if found is None else f"{found.mean:.2f}, n = {found.n}"
