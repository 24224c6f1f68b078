"""What a run's data and models are like: accounts, figures of the manifests, curves, scores."""

from collections.abc import Mapping, Sequence

from nicegui import ui

from dashboard.evaluation_panel import evaluation_panel
from dashboard.site import Site
from dashboard.statistics_panel import MEASURED, statistics_panel
from dashboard.widgets import block, body, chart, facts, heading, line, read, section, table, title
from dashboard.words import in_words
from parrot_core.monitor import StageState
from parrot_core.monitor.stage_facts import rule_facts, training_facts
from parrot_core.report.charts import Series
from parrot_core.report.pairs_table import NOTE, pairs_grid
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import count, figure

MOST_ROWS = 10
MOST_CURVES = 6
MOST_FIGURES = 12
FEW_STEPS = 8
MOST_EXAMPLES = 2
EXAMPLE_CHARS = 500
SHOWN_APART = ("subjects", "win_rates", "winners", "examples")
"""Metrics that have a place of their own on the page."""

FIRST_CURVES = ("loss", "rewards/margins", "rewards/accuracies")


async def quality_page(site: Site, run: str) -> None:
    title("Quality", run)
    with block("row head"):
        ui.link(run, f"/run/{run}").classes("crumb")
        heading("Quality")
    waiting = line("Reading the run …", "soft")
    state = await read(lambda: site.watch.run(run))
    waiting.delete()
    if state is None:
        return
    published = [stage for stage in state.stages if stage.published]
    if not published:
        line("Nothing is published yet.", "soft")
        return
    _accounts(published)
    for stage in published:
        if stage.kind == "model":
            _training(stage)
    await statistics_panel(site, run, [s for s in published if s.output in MEASURED])
    evaluation_panel(state)
    if (grid := pairs_grid(state.making("preferences"))) is not None:
        with section(grid.title, NOTE):
            table(grid.header, grid.rows, frozenset(range(1, len(grid.header))))
    _metrics([stage for stage in published if stage.kind == "dataset" and stage.metrics])


def _accounts(stages: Sequence[StageState]) -> None:
    with section("Accounts", "Rows in = rows out + rejects, for every stage that makes rows."):
        rows = []
        for stage in stages:
            if stage.counted:
                reasons = sorted(stage.rejected.items(), key=lambda each: -each[1])
                told = ", ".join(f"{count(number)} {in_words(why)}" for why, number in reasons)
                closes = "closes" if stage.balance == 0 else f"off by {stage.balance}"
                numbers = (stage.rows_in, stage.rows_out, stage.rejects)
                rows.append((stage.name, *map(count, numbers), told or "none", closes))
        head = ("stage", "in", "out", "rejects", "why", "account")
        table(head, rows, frozenset({1, 2, 3}))


def _training(stage: StageState) -> None:
    found = training_facts(stage)
    with section(stage.name, f"Makes {stage.output} {stage.version}."):
        held = {f"held-out {in_words(n)}": _before_after(b, a) for n, b, a in found.pairs}
        plain = [(k, v) for k, v in found.figures.items() if not k.startswith("phase_seconds")]
        sizes = {in_words(k): _value(v) for k, v in plain[:MOST_FIGURES]}
        facts({**held, **sizes})
        ordered = sorted(found.curves, key=lambda c: (c.name not in FIRST_CURVES, c.name))
        with block("plots"):
            for number, curve in enumerate(ordered[:MOST_CURVES]):
                name = in_words(curve.name)
                series = Series(name, curve.points, number % 4 + 1)
                chart([series], name, "step", whole_steps=len(curve.points) <= FEW_STEPS)


def _before_after(before: float | None, after: float | None) -> str:
    """Both, or the one that a count of held-out data is."""
    if before == after and before is not None and before.is_integer():
        return count(before)
    return f"{figure(before)} → {figure(after)}"


def _metrics(stages: Sequence[StageState]) -> None:
    """What the manifests say of each dataset."""
    for stage in stages:
        why = f"As {stage.name} counted."
        with section(f"{stage.output} {stage.version}", why):
            with block("masonry"):
                plain = {k: v for k, v in stage.metrics.items() if not isinstance(v, dict | list)}
                if plain:
                    facts({in_words(k): _value(v) for k, v in plain.items()})
                for name, value in stage.metrics.items():
                    if isinstance(value, Mapping) and value and name not in SHOWN_APART:
                        with block("part"):
                            heading(in_words(name), 3)
                            _counts(value)
            _examples(stage)


def _examples(stage: StageState) -> None:
    """What each cleaning rule did to a text, behind a button."""
    found = [rule for rule in rule_facts(stage) if rule.examples]
    if not found:
        return
    with ui.expansion("What the rules did, by example").classes("wide"), block("two"):
        for rule in found:
            with block("side"):
                heading(rule.rule, 3)
                for example in rule.examples[:MOST_EXAMPLES]:
                    line(example.id, "mono soft small clip")
                    body(example.before, "small before", EXAMPLE_CHARS)
                    body(
                        example.after or "(put aside, or only marked)", "small after", EXAMPLE_CHARS
                    )


def _counts(values: Mapping[str, object]) -> None:
    """Names with their figures, the largest first; the many small ones in one line."""
    numbers = [(k, v) for k, v in values.items() if isinstance(v, int | float)]
    numbers.sort(key=lambda each: -float(each[1]))
    rows = [(in_words(name), _value(value)) for name, value in numbers[:MOST_ROWS]]
    if rest := numbers[MOST_ROWS:]:
        rows.append((f"{len(rest)} more", _value(sum(value for _, value in rest))))
    for name, value in values.items():
        if isinstance(value, Mapping):
            parts = [(f"{in_words(name)}: {in_words(k)}", _value(v)) for k, v in value.items()]
            rows += parts or [(in_words(name), "none")]
        elif not isinstance(value, int | float):
            rows.append((in_words(name), _value(value)))
    table(("what", "number"), rows[: 2 * MOST_ROWS], frozenset({1}))


def _value(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return one_line(value, 120)
    return count(value) if float(value).is_integer() else f"{value:,.4g}"
