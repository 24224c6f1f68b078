"""How a stage of a run goes or went over time, and the curves of a training."""

from collections.abc import Sequence

from nicegui import ui

from dashboard.live_chart import COLOURS, ChartLine, LiveChart
from dashboard.site import Site
from dashboard.widgets import block, heading, in_thread, line
from dashboard.words import in_words
from parrot_core.monitor import RunState, StageState
from parrot_core.monitor.costs import unpriced
from parrot_core.monitor.over_time import Moment, over_time
from parrot_core.monitor.stage_facts import training_facts

FIRST_CURVES = ("loss", "margins", "accuracies", "rewards/margins", "rewards/accuracies")
LEFT_OUT = ("tokens_per_s", "learning_rate")
MOST_CURVES = 6
FOLLOW = "the stage in work"

Curves = tuple[tuple[str, tuple[tuple[float, float | None], ...]], ...]


class RunCharts:
    """The card with the stage's selector and the charts of what was selected."""

    def __init__(self, site: Site, run: str) -> None:
        """Empty until there is something to draw."""
        self._site = site
        self._run = run
        self._chosen = FOLLOW
        self._shown = ""
        self._state: RunState | None = None
        self._charts: dict[str, LiveChart] = {}
        self.stage: StageState | None = None
        self.moments: Sequence[Moment] = ()
        with block("card", "section") as self._card:
            with block("row wrap"):
                heading("Over time", 2)
                block("grow")
                self._select = ui.select(
                    [FOLLOW], value=FOLLOW, label="stage", on_change=self._choose
                ).props("dense outlined options-dense")
            self._note = line("", "soft small")
            self._place = block("plots wider")
        self._card.set_visibility(False)

    async def show(self, state: RunState) -> None:
        self._state = state
        begun = [s.name for s in state.own_stages if s.published or s.shards]
        options = [FOLLOW, *begun]
        if self._select.options != options:
            self._select.set_options(options)
        name = self._followed(state) if self._chosen == FOLLOW else self._chosen
        if not name:
            return
        stage = await in_thread(lambda: self._site.watch.stage(self._run, name))
        if stage is None:
            return
        self.stage = stage
        self.moments = await in_thread(lambda: over_time(stage.shards))
        if stage.kind == "model":
            self._curves(stage)
        else:
            self._rates(stage)

    def _followed(self, state: RunState) -> str:
        """The stage that asks engines or trains now, or did so last."""
        busy = ("running", "paused", "stalled", "partially_failed", "failed", "budget_reached")
        found = [s for s in state.own_stages if s.usage or s.kind == "model" or s.status in busy]
        begun = [s for s in found if s.shards or s.published]
        at_work = [s for s in begun if s.status in busy]
        return (at_work or begun)[-1].name if begun else ""

    async def _choose(self) -> None:
        self._chosen = str(self._select.value)
        if self._state is not None:
            await self.show(self._state)

    def _begin(self, stage: StageState, note: str) -> None:
        """Start anew when another stage is shown."""
        self._card.set_visibility(True)
        self._note.set_text(note)
        if self._shown != stage.name:
            self._shown = stage.name
            self._charts.clear()
            self._place.clear()

    def _chart(self, title: str, lines: Sequence[ChartLine], *, over_time: bool) -> None:
        if title not in self._charts:
            with self._place:
                self._charts[title] = LiveChart(title, over_time=over_time)
        self._charts[title].show(lines)

    def _rates(self, stage: StageState) -> None:
        moments = self.moments
        if not moments:
            self._begin(stage, f"{stage.name}: nothing was recorded over time.")
            return
        self._begin(stage, f"{stage.name}, all its workers together, in your time zone.")

        def points(name: str, factor: float = 1.0) -> tuple[tuple[float, float | None], ...]:
            values = ((m.at, getattr(m, name)) for m in moments)
            return tuple((at, None if v is None else v * factor) for at, v in values)

        unit = stage.unit or "unit"
        self._chart(f"{unit}s done a minute", [ChartLine(unit, points("done", 60))], over_time=True)
        failures = [
            ChartLine("429", points("refusals", 60), "--amber"),
            ChartLine("5xx", points("errors", 60), "--red"),
            ChartLine("timeouts", points("timeouts", 60), "--violet"),
        ]
        answers = ChartLine("answers", points("answers", 60), "--blue")
        self._chart("Requests a minute", [answers, *failures], over_time=True)
        seconds = [ChartLine("latency", points("latency_s"), "--violet")]
        self._chart("Seconds an answer", seconds, over_time=True)
        self._chart("Tokens a second", [ChartLine("tokens", points("tokens"))], over_time=True)
        if any(m.usd for m in moments):
            recipe = self._state.header.recipe if self._state is not None else {}
            some = unpriced(stage.usage.items(), recipe)
            name = "dollars, at known prices" if some else "dollars"
            money = [ChartLine(name, points("usd", 3600), "--amber")]
            self._chart("Dollars an hour", money, over_time=True)

    def _curves(self, stage: StageState) -> None:
        curves = curves_of(stage)
        if not curves:
            self._begin(stage, f"{stage.name}: no step has been logged yet.")
            return
        self._begin(stage, f"{stage.name}, by optimiser step.")
        for place, (name, points) in enumerate(curves):
            colour = COLOURS[place % len(COLOURS)]
            said = in_words(name)
            self._chart(said, [ChartLine(said, points, colour)], over_time=False)


def curves_of(stage: StageState) -> Curves:
    """Loss and rewards by step: of the manifest once it is there, else as they grow."""
    found: dict[str, tuple[tuple[float, float | None], ...]] = {}
    if stage.published:
        found = {curve.name: tuple(curve.points) for curve in training_facts(stage).curves}
    else:
        for shard in stage.shards:
            steps = shard.curve.get("step") or ()
            for name, values in shard.curve.items():
                if name != "step":
                    pairs = zip(steps, values, strict=False)
                    found[name] = tuple((float(x), y) for x, y in pairs if x is not None)
    names = [name for name in found if name not in LEFT_OUT]
    names.sort(key=lambda name: (name not in FIRST_CURVES, name))
    return tuple((name, found[name]) for name in names[:MOST_CURVES])
