"""The report of a run: one HTML file that needs nothing else, readable on a phone and on paper.

Every text that a model or a stranger wrote is sanitised first and escaped by the template; the
page's own content-security policy forbids scripts and any request on top of that.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from parrot_core.analysis.results.cost import by_engine
from parrot_core.analysis.results.findings import Findings, gather
from parrot_core.analysis.results.samples import LineageStep, RejectExample
from parrot_core.analysis.results.scores import short_model
from parrot_core.analysis.statistics.values import Statistics
from parrot_core.lake.lake import Lake
from parrot_core.monitor import StageSpec
from parrot_core.monitor.costs import cost_of, cost_of_run, known_usd, usage_of
from parrot_core.monitor.stage_facts import TrainingFacts
from parrot_core.report.charts import Series, line_chart
from parrot_core.report.evaluation_page import (
    by_turn,
    evaluation_page,
    interval,
    named,
    outcome_bar,
)
from parrot_core.report.pairs_table import NOTE, pairs_grid
from parrot_core.report.pipeline_picture import pipeline_picture
from parrot_core.report.statistics_page import (
    agreement_words,
    charts,
    compare,
    definitions,
    table_1,
)
from parrot_core.stages.reasons import REASONS
from parrot_core.text import wording
from parrot_core.text.sanitise import one_line, sanitise

MESSAGE_CHARS = 1500
"""Characters shown of one message."""

STRATEGY_WORDS = {
    "neglect": (
        "Context neglect",
        "The query was answered with no history at all.",
        "",
    ),
    "hallucination": (
        "Context hallucination",
        "The writer first guessed, without the history, what is meant, then answered on the guess.",
        "The guess",
    ),
    "misunderstanding": (
        "Context misunderstanding",
        "The writer took an irrelevant passage of the history for what the query is about.",
        "The passage misread",
    ),
    "wrong_referent": (
        "Wrong referent",
        "The query was completed with another entity of the history in the right one's place.",
        "Instead of what was meant",
    ),
    "on_policy": (
        "On-policy",
        "The model's own answer to the whole history, about another thing by a judge's word.",
        "What was meant",
    ),
}

FIGURE_WORDS = {
    "loss": "loss",
    "margin": "reward margin",
    "accuracy": "preference accuracy",
}

TRAINING_CURVES = (
    ("loss", "training loss", "Training loss at each step"),
    ("rewards/margins", "reward margin", "Reward margin: chosen above rejected, at each step"),
    ("rewards/accuracies", "reward accuracy", "Share of pairs with the chosen answer ahead"),
    ("learning_rate", "learning rate", "Learning rate at each step"),
    ("tokens_per_s", "tokens a second", "Tokens a second at each step"),
)
"""Name in the curve, what it is, caption."""

TRAINING_WORDS = {
    "train-ask": ("Parrot-Ask", "learns to ask: loss on user tokens only"),
    "train-sft": ("Parrot-Chat, SFT", "learns to answer: loss on assistant tokens only"),
    "train-dpo": ("Parrot-Chat, DPO", "learns to prefer answers that heed the context"),
}


def build_report(
    lake: Lake, run: str, stages: Iterable[StageSpec], now: datetime | None = None
) -> str:
    """Read a run from the lake and render its report.

    Args:
        now: the time the page bears; the present unless given.

    Raises:
        MissingRun: the lake holds no run of this name.
    """
    return render_report(gather(lake, run, stages, now or datetime.now(UTC)))


def render_report(findings: Findings) -> str:
    """Render what was found as one HTML page; a section without facts says so."""
    state = findings.state
    recipe = state.header.recipe
    page = environment().get_template("report.html.j2")
    return page.render(
        found=findings,
        state=state,
        picture=pipeline_picture(state.stages),
        headlines=_headlines(findings),
        failed=[
            (stage, shard)
            for stage in state.stages
            for shard in stage.having("failed")
            if shard.last_error
        ],
        trainings=[(facts, _training_charts(facts)) for facts in findings.trainings],
        score_chart=by_turn(named(findings.scores), "Mean score by turn, one line a subject"),
        statistics=_statistics(findings.statistics),
        rejects=_grouped(findings.rejects),
        lineage=_lineage(findings.lineage),
        pairs=pairs_grid(state.making("preferences")),
        pairs_note=NOTE,
        evaluation=evaluation_page(findings.scores, state),
        engines=by_engine(state),
        recipe=sanitise(yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True), 40_000)
        if recipe
        else "",
    )


def render_statistics(sets: Sequence[Statistics]) -> str:
    """Render statistics of one or several sets as one HTML page of its own."""
    page = environment().get_template("statistics.html.j2")
    title = " · ".join(found.label for found in sets)
    return page.render(title=title, statistics=_statistics(sets))


def _statistics(sets: Sequence[Statistics]) -> dict[str, Any]:
    """What ``statistics_section`` of the templates takes."""
    return {
        "sets": sets,
        "table_1": table_1(sets),
        "table": compare(sets),
        "charts": charts(sets),
        "definitions": list(definitions()),
        "words": agreement_words,
    }


def environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("parrot_core.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "sanitise": sanitise,
        "message": partial(sanitise, limit=MESSAGE_CHARS),
        "line": one_line,
        "count": wording.count,
        "short_count": wording.short_count,
        "duration": wording.duration,
        "figure": wording.figure,
        "plural": wording.plural,
        "model": short_model,
        "moment": _moment,
        "interval": interval,
        "outcome_bar": outcome_bar,
    }
    environment.globals |= {
        "STRATEGY_WORDS": STRATEGY_WORDS,
        "FIGURE_WORDS": FIGURE_WORDS,
        "TRAINING_WORDS": TRAINING_WORDS,
        "REASONS": REASONS,
        "cost_of": cost_of,
        "cost_of_run": cost_of_run,
        "known_usd": known_usd,
        "usage_of": usage_of,
    }
    return environment


def _moment(value: datetime | None) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if value else "unknown"


def _headlines(found: Findings) -> list[tuple[str, str, str]]:
    """(figure, what it is, a remark) for the top of the page; only what is known."""
    cards: list[tuple[str, str, str]] = []
    parrot = found.state.making("parrot")
    if parrot is not None and parrot.published:
        turns = found.turns.get("parrot")
        mean = f"{turns / parrot.rows_out:.2f} turns each" if turns and parrot.rows_out else ""
        cards.append((wording.count(parrot.rows_out), "dialogues", mean))
    if found.strategies:
        kinds = wording.plural(len(found.strategies), "strategy")
        cards.append((wording.count(sum(found.strategies.values())), "preference pairs", kinds))
    for facts in found.trainings:
        wanted = "margin" if "margin" in facts.after else "loss"
        before, after = facts.before.get(wanted), facts.after.get(wanted)
        if before is None or after is None:
            continue
        title = TRAINING_WORDS.get(facts.stage.name, (facts.stage.output, ""))[0]
        change = f"{wording.figure(before)} → {wording.figure(after)}"
        cards.append((change, f"{title}, held out", FIGURE_WORDS[wanted]))
    if found.scores:
        figures = " · ".join(f"{s.overall.mean:.2f}" for s in found.scores.subjects)
        names = " · ".join(s.subject for s in found.scores.subjects)
        weak = "; see the note on the judge" if found.scores.note else ""
        cards.append((figures, "mean scores of 10", names + weak))
    return cards


def _training_charts(facts: TrainingFacts) -> list[tuple[Markup, str]]:
    """A chart and its caption for each of the figures that were recorded."""
    curves = {curve.name: curve.points for curve in facts.curves}
    found = []
    for name, what, caption in TRAINING_CURVES:
        chart = line_chart(
            [Series(what, curves.get(name, ()), tone=1 if name == "loss" else 2)],
            title=f"{what.capitalize()} of {facts.stage.name} over steps",
            x_label="optimiser step",
        )
        if chart:
            found.append((chart, caption))
    return found


def _grouped(
    rejects: Sequence[RejectExample],
) -> list[tuple[str, list[tuple[str, int, list[RejectExample]]]]]:
    """Examples by stage, then by reason, in the order they came."""
    stages: dict[str, dict[str, list[RejectExample]]] = {}
    for example in rejects:
        stages.setdefault(example.stage, {}).setdefault(example.reason, []).append(example)
    return [
        (stage, [(reason, items[0].count, items) for reason, items in reasons.items()])
        for stage, reasons in stages.items()
    ]


def _lineage(steps: Sequence[LineageStep]) -> list[LineageStep]:
    return list(reversed(steps))


def render_page(template: str, **values: object) -> str:
    """Render another page with this one's filters: everything is escaped, nothing may be lacking.

    Args:
        template: a file of ``templates/``.
    """
    return environment().get_template(template).render(**values)
