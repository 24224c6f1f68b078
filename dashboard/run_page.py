"""One run as the pipeline's picture, each stage with its bar, and how it went over time."""

from functools import partial

from nicegui import ui

from dashboard.retry import ask_retry
from dashboard.site import Site
from dashboard.widgets import Bar, act, block, chart, chip, heading, in_thread, line, redraw
from parrot_core.errors import ParrotError
from parrot_core.monitor import RunState, StageState
from parrot_core.monitor.over_time import Moment, over_time
from parrot_core.report.charts import Series
from parrot_core.report.pipeline_picture import pipeline_picture
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import count, dollars, duration, plural, rate, short_count

CHARTS_EVERY_S = 4.0


class _StageRow:
    """One stage of the table."""

    def __init__(self, run: str, stage: StageState) -> None:
        with block("stage"):
            with block("who"):
                ui.link(stage.name, f"/run/{run}/{stage.name}").classes("name")
                line(f"→ {stage.output}", "soft small")
            with block("how"):
                self._bar = Bar()
                with block("row small soft"):
                    self._amount = line("", "grow")
                    self._speed = line("")
                    self._time = line("")
            self._chip = chip("waiting")
            with block("sums small"):
                self._rejects = line("")
                self._tokens = line("")
                self._usd = line("")
            self._remark = line("", "remark small")

    def show(self, stage: StageState) -> None:
        """Show the stage as it is."""
        starting = stage.status == "waiting" and stage.planned_at is not None
        pinned = f"from {one_line(stage.version, 30)}" if stage.status == "pinned" else stage.status
        self._chip.set_text("starting" if starting else pinned)
        self._chip.classes(replace=f"chip {stage.status}")
        waiting = stage.status in ("waiting", "skipped")
        self._bar.show(0.0 if waiting else stage.percent, stage.status)
        self._amount.set_text(_amount(stage))
        self._speed.set_text(rate(stage.rate, "") if stage.status == "running" else "")
        left = stage.eta_s if stage.status == "running" else None
        took = duration(stage.seconds) if stage.seconds else ""
        self._time.set_text(f"{duration(left)} left" if left is not None else took)
        counts = stage.counted and not waiting
        self._rejects.set_text(f"{count(stage.rejects)} rejects" if counts else "")
        self._tokens.set_text(f"{short_count(stage.tokens)} tokens" if stage.tokens else "")
        self._usd.set_text(dollars(stage.usd) if stage.usage else "")
        remark = _remark(stage)
        self._remark.set_text(remark)
        self._remark.set_visibility(bool(remark))
        self._remark.classes(replace=f"remark small {stage.status}")


async def run_page(site: Site, run: str) -> None:
    """Build the page."""
    with block("row head"):
        heading(run)
        status = chip("waiting", "reading …")
        block("grow")
        buttons = block("row")
    pause = line("", "note")
    pause.set_visibility(False)
    described = line("", "soft", limit=600)
    picture = ui.html("", sanitize=False).classes("picture scroll")
    sums = block("cards")
    table = block("stages card", "section")
    with block("card", "section") as over:
        heading("Over time", 2)
        charts = block("charts")
    page = _RunPage(site, run)

    def tell(state: RunState) -> None:
        unknown = state.header.created_at is None and not any(s.published for s in state.stages)
        for element in (status, buttons, picture, sums, table):
            element.set_visibility(not unknown)
        if unknown:
            described.set_text(f"The lake holds no run '{one_line(run)}'.")
            return
        status.set_text(state.status_text)
        status.classes(replace=f"chip {state.status}")
        pause.set_text(one_line(state.header.pause, 300))
        pause.set_visibility(bool(state.header.pause))
        described.set_text(one_line(state.header.description, 600))
        redraw(picture, pipeline_picture(state.stages))
        page.sums(sums, state)
        page.stages(table, state)
        page.buttons(buttons, state)

    async def show() -> None:
        try:
            tell(await in_thread(lambda: site.watch.run(run)))
        except (ParrotError, OSError) as error:
            described.set_text(one_line(error, 600))
            return
        if not page.looked:
            await draw()

    async def draw() -> None:
        moments = await in_thread(lambda: page.moments())
        over.set_visibility(bool(moments))
        page.charts(charts, moments)

    if (seen := site.watch.seen(run)) is not None:
        tell(seen)
    ui.timer(1.0, show, immediate=seen is None)
    ui.timer(CHARTS_EVERY_S, draw, immediate=False)


class _RunPage:
    """What the page has shown, so that only what changes is sent."""

    def __init__(self, site: Site, run: str) -> None:
        self._site = site
        self._run = run
        self._rows: dict[str, _StageRow] = {}
        self._sums: dict[str, str] = {}
        self._offered: tuple[object, ...] = ()
        self._drawn: tuple[Moment, ...] = ()
        self._busy = ""
        self._dialog = block("")
        self.looked = False  # for what went on over time

    def sums(self, place: ui.element, state: RunState) -> None:
        """The run's sums, in large."""
        budget = state.header.recipe.get("budget_usd")
        own = state.own_stages
        spent = dollars(state.usd)
        found = {
            "stages done": f"{sum(s.published for s in own)} of {len(own)}",
            "of work": duration(state.seconds),
            "tokens": short_count(state.tokens),
            "rejects": count(sum(s.rejects for s in own)),
            f"of a budget of ${budget:,.2f}" if budget else "spent": spent,
        }
        if found != self._sums:
            self._sums = found
            place.clear()
            with place:
                for name, value in found.items():
                    with block("sum"):
                        line(value, "value")
                        line(name, "soft small")

    def stages(self, place: ui.element, state: RunState) -> None:
        """The stages, each on its line."""
        if not self._rows:
            with place:
                heading("Stages", 2)
                self._rows = {s.name: _StageRow(self._run, s) for s in state.stages}
        for stage in state.stages:
            self._rows[stage.name].show(stage)
        began = [s for s in state.own_stages if s.usage or s.status in ("running", "paused")]
        self._busy = began[-1].name if began else ""

    def buttons(self, place: ui.element, state: RunState) -> None:
        """What can be done now."""
        failed = any(stage.status == "failed" for stage in state.stages)
        offered = (state.status_text, bool(state.header.pause), failed)
        if offered == self._offered:
            return
        self._offered = offered
        place.clear()
        with place:
            ui.link("Quality", f"/quality/{self._run}").classes("button")
            actions = self._site.actions
            if actions is None:
                return
            if state.header.pause:
                ui.button("Resume", on_click=self._resume).props("unelevated no-caps")
            elif state.status not in ("done",):
                ui.button("Pause", on_click=self._pause).props("outline no-caps")
            if not state.final:
                ask = partial(
                    ask_retry, self._dialog, self._site, state.header, "", [], bool(state.until)
                )
                what = "Go on with the rest …" if state.until else "Retry what is missing …"
                ui.button(what, on_click=lambda: ask()).props(
                    "unelevated no-caps" if failed else "outline no-caps"
                )

    def moments(self) -> tuple[Moment, ...]:
        """How the stage that asks engines now, or did so last, went over time."""
        self.looked = True
        if not self._busy:
            return ()
        stage = self._site.watch.stage(self._run, self._busy)
        return over_time(stage.shards) if stage is not None else ()

    def charts(self, place: ui.element, moments: tuple[Moment, ...]) -> None:
        """Throughput, refusals, latency."""
        if moments == self._drawn or not moments:
            return
        self._drawn = moments
        place.clear()
        with place:
            line(f"Stage {self._busy}, all its workers together.", "soft small")
            with block("plots"):
                chart(
                    [Series("units", tuple((m.at_s, m.done * 60) for m in moments))],
                    "Done a minute",
                    "seconds",
                )
                chart(
                    [
                        Series("answers", tuple((m.at_s, m.answers * 60) for m in moments), 2),
                        Series("429", tuple((m.at_s, m.refusals * 60) for m in moments), 3),
                    ],
                    "Requests a minute",
                    "seconds",
                )
                latency = tuple((m.at_s, m.latency_s) for m in moments if m.latency_s is not None)
                chart([Series("latency", latency, 4)], "Seconds an answer", "seconds")
                tokens = tuple((m.at_s, m.tokens) for m in moments)
                chart([Series("tokens", tokens, 1)], "Tokens a second", "seconds")

    def _pause(self) -> None:
        actions = self._site.actions
        assert actions is not None
        act(lambda: actions.pause(self._run), "Paused: nothing new is begun or bought.")
        self._site.watch.forget(self._run)

    def _resume(self) -> None:
        actions = self._site.actions
        assert actions is not None
        act(lambda: actions.resume(self._run), "Resumed: its workers go on within seconds.")
        self._site.watch.forget(self._run)


def _amount(stage: StageState) -> str:
    unit = stage.unit or "unit"
    if stage.published:
        return "trained" if stage.kind == "model" else plural(stage.rows_out, unit)
    if stage.total:
        return f"{count(stage.done)} of {plural(stage.total, unit)}"
    return count(stage.done) if stage.done else ""


def _remark(stage: StageState) -> str:
    """What matters most about a stage now."""
    if stage.status == "pinned":
        return ""
    if stage.status == "skipped":
        return "not asked for"
    failed = stage.having("failed")
    if failed and failed[-1].last_error is not None:
        error = failed[-1].last_error
        return f"shard {failed[-1].index}: {error.error_type}: {one_line(error.message, 300)}"
    if stage.pause:
        return one_line(stage.pause, 300)
    told = [f"{engine}: {one_line(what, 120)}" for engine, what in stage.waiting.items()]
    stalled = len(stage.having("stalled"))
    told += [f"{plural(stalled, 'shard')} silent for a minute"] if stalled else []
    told += [one_line(warning, 200) for warning in stage.warnings[:2]]
    return " · ".join(told)
