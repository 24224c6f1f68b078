"""What a run's data and models are like: accounts, figures of the manifests, curves, scores."""

from collections.abc import Mapping, Sequence

from nicegui import ui

from dashboard.site import Site
from dashboard.statistics_panel import MEASURED, statistics_panel
from dashboard.widgets import block, chart, facts, heading, line, read, section, table
from parrot_core.evaluation.charts import Series
from parrot_core.evaluation.findings import training_facts
from parrot_core.evaluation.wording import count, figure
from parrot_core.monitor import RunState, StageState
from parrot_core.monitor.inert import one_line

MOST_ROWS = 10
MOST_CURVES = 6
FIRST_CURVES = ("loss", "rewards/margins", "rewards/accuracies")


async def quality_page(site: Site, run: str) -> None:
    """Build the page."""
    with block("row head"):
        ui.link(run, f"/run/{run}").classes("crumb")
        heading("Quality")
    state = await read(lambda: site.watch.run(run))
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
    _evaluation(state)
    _metrics([stage for stage in published if stage.kind == "dataset" and stage.metrics])


def _accounts(stages: Sequence[StageState]) -> None:
    with section("Accounts", "Rows in = rows out + rejects, for every stage that makes rows."):
        rows = []
        for stage in stages:
            if stage.counted:
                reasons = sorted(stage.rejected.items(), key=lambda each: -each[1])
                told = ", ".join(f"{count(number)} {why}" for why, number in reasons)
                closes = "closes" if stage.balance == 0 else f"off by {stage.balance}"
                numbers = (stage.rows_in, stage.rows_out, stage.rejects)
                rows.append((stage.name, *map(count, numbers), told or "none", closes))
        head = ("stage", "in", "out", "rejects", "why", "account")
        table(head, rows, frozenset({1, 2, 3}))


def _training(stage: StageState) -> None:
    found = training_facts(stage)
    with section(stage.name, f"Makes {stage.output} {stage.version}."):
        held = {f"held-out {n}": f"{figure(b)} → {figure(a)}" for n, b, a in found.pairs}
        sizes = {k: f"{v:,.4g}" for k, v in list(found.figures.items())[:8]}
        facts({**held, **sizes})
        ordered = sorted(found.curves, key=lambda c: (c.name not in FIRST_CURVES, c.name))
        with block("plots"):
            for number, curve in enumerate(ordered[:MOST_CURVES]):
                chart([Series(curve.name, curve.points, number % 4 + 1)], curve.name, "step")


def _evaluation(state: RunState) -> None:
    stage = state.making("judgments")
    subjects = stage.metrics.get("subjects") if stage is not None and stage.published else None
    if not isinstance(subjects, Mapping):
        return
    with section("Evaluation", "Mean scores of the judge, 1 to 10, turn by turn."):
        rows, lines = [], []
        for number, (name, found) in enumerate(subjects.items()):
            overall = found.get("overall") or {}
            turns = _by_turn(found.get("by_turn"))
            spread = f"{figure(overall.get('low'))} to {figure(overall.get('high'))}"
            means = " / ".join(f"{mean:.2f}" for _, mean in turns)
            rows.append((name, figure(overall.get("mean")), spread, overall.get("n", "-"), means))
            lines.append(Series(one_line(name, 60), tuple(turns), number % 4 + 1))
        table(("subject", "mean", "95 % interval", "answers", "by turn"), rows, frozenset({1, 3}))
        with block("plots"):
            chart(lines, "Mean score by turn", "turn", whole_steps=True)


def _by_turn(value: object) -> list[tuple[float, float]]:
    if not isinstance(value, Mapping):
        return []
    means = {float(t): f.get("mean") for t, f in value.items() if isinstance(f, Mapping)}
    return sorted((turn, float(mean)) for turn, mean in means.items() if mean is not None)


def _metrics(stages: Sequence[StageState]) -> None:
    """What the manifests say of each dataset."""
    for stage in stages:
        why = f"As {stage.name} counted."
        with section(f"{stage.output} {stage.version}", why), block("masonry"):
            plain = {k: v for k, v in stage.metrics.items() if not isinstance(v, dict | list)}
            if plain:
                facts({k: _value(v) for k, v in plain.items()})
            for name, value in stage.metrics.items():
                if isinstance(value, Mapping) and value and name != "subjects":
                    with block("part"):
                        heading(name, 3)
                        _counts(value)


def _counts(values: Mapping[str, object]) -> None:
    """Names with their figures, the largest first; the many small ones in one line."""
    numbers = [(k, v) for k, v in values.items() if isinstance(v, int | float)]
    numbers.sort(key=lambda each: -float(each[1]))
    rows = [(name, _value(value)) for name, value in numbers[:MOST_ROWS]]
    if rest := numbers[MOST_ROWS:]:
        rows.append((f"{len(rest)} more", _value(sum(value for _, value in rest))))
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows.append((name, ", ".join(f"{k} {_value(v)}" for k, v in value.items()) or "none"))
        elif not isinstance(value, int | float):
            rows.append((name, one_line(value, 120)))
    table(("", ""), rows[: 2 * MOST_ROWS], frozenset({1}))


def _value(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return one_line(value)
    return count(value) if float(value).is_integer() else f"{value:,.4g}"
