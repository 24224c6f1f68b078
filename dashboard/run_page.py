"""One run as the pipeline's picture: its stages, what failed, what it will come to, how it goes."""

from collections.abc import Mapping
from functools import partial

from nicegui import ui

from dashboard.failures_panel import FailuresPanel
from dashboard.questions import ActionQuestion, go_on, raise_budget, retry_failed, retry_group
from dashboard.retry import ask
from dashboard.run_charts import RunCharts
from dashboard.site import Site
from dashboard.stage_rows import StageRow, failed_words
from dashboard.widgets import (
    act,
    block,
    body,
    button,
    chip,
    heading,
    in_thread,
    line,
    redraw,
    restyle,
    title,
)
from parrot_core.errors import ParrotError
from parrot_core.monitor import RunState
from parrot_core.monitor.costs import brief_cost, unpriced, usage_of
from parrot_core.monitor.failures import FailureGroup, failure_groups
from parrot_core.monitor.outlook import Outlook, Pace, Projection, outlook, pace
from parrot_core.report.pipeline_picture import pipeline_picture
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import count, duration, money, plural, short_count

CHARTS_EVERY_S = 4.0


async def run_page(site: Site, run: str) -> None:
    title(run)
    page = _RunPage(site, run)
    if (seen := site.watch.seen(run)) is not None:
        page.show(seen)
    ui.timer(1.0, page.look, immediate=seen is None)
    ui.timer(CHARTS_EVERY_S, page.draw, immediate=False)
    ui.timer(0.05, page.draw, once=True)


class _RunPage:
    """The page, and what it has shown, so that only what changes is sent."""

    def __init__(self, site: Site, run: str) -> None:
        self._site = site
        self._run = run
        self._rows: dict[str, StageRow] = {}
        self._sums: dict[str, tuple[str, str]] = {}
        self._offers: dict[str, ui.button] = {}
        self._expected: Mapping[str, Projection] = {}
        self._pace: Pace | None = None
        self._state: RunState | None = None
        with block("row head"):
            heading(run)
            self._status = chip("waiting", "reading …")
            self._failed = line("", "chip failed")
            self._failed.set_visibility(False)
            block("grow")
            self._buttons = block("row wrap")
            self._build_buttons()
        self._pause = line("", "note")
        self._pause.set_visibility(False)
        self._warning = line("", "note", limit=400).props('role="status"')
        self._warning.set_visibility(False)
        self._described = line("", "soft", limit=600)
        self._picture = ui.html("", sanitize=False).classes("picture scroll")
        self._picture.props('tabindex=0 role="group" aria-label="The pipeline"')
        self._cards = block("cards")
        self._failures = FailuresPanel(run, self._ask_group if site.actions else None)
        self._table = block("stages card", "section")
        self._tail = body("", "log mono").props('role="log" tabindex=0 aria-label="Command"')
        self._tail.set_visibility(False)
        self._charts = RunCharts(site, run)
        self._dialog = block("")

    async def look(self) -> None:
        try:
            state = await in_thread(lambda: self._site.watch.run(self._run))
        except (ParrotError, OSError) as error:
            self._described.set_text(one_line(error, 600))
            return
        self.show(state)
        actions = self._site.actions
        if actions is not None:
            said = await in_thread(lambda: actions.tail(self._run))
            self._tail.set_visibility(bool(said))
            self._tail.set_text(said[-4000:])

    async def draw(self) -> None:
        """Draw the charts, and reckon what is left."""
        if self._state is None:
            return
        try:
            await self._charts.show(self._state)
            if not self._state.final:
                self._expected = await in_thread(lambda: self._site.forecasts.of(self._run))
        except (ParrotError, OSError) as error:
            self._described.set_text(one_line(error, 600))
            return
        stage = self._charts.stage
        working = stage is not None and stage.status in ("running", "paused")
        self._pace = pace(stage, self._charts.moments) if stage and working else None
        self.show(self._state)

    def show(self, state: RunState) -> None:
        self._state = state
        unknown = state.header.created_at is None and not any(s.published for s in state.stages)
        parts = (self._status, self._buttons, self._picture, self._cards, self._table)
        for element in parts:
            element.set_visibility(not unknown)
        if unknown:
            self._described.set_text(f"The lake holds no run '{one_line(self._run)}'.")
            return
        self._status.set_text(state.status_text)
        self._status.classes(replace=f"chip {state.status}")
        self._failed.set_text(failed_words(state.failed, state.quarantined))
        self._failed.set_visibility(bool(state.failed))
        stop = f"stopped: {state.header.stop}" if state.status == "cancelled" else ""
        self._pause.set_text(one_line(state.header.pause or stop, 300))
        self._pause.set_visibility(bool(state.header.pause or stop))
        self._described.set_text(one_line(state.header.description, 600))
        redraw(self._picture, pipeline_picture(state.stages))
        found = outlook(state, self._expected)
        self._warn(found)
        self._show_sums(state, found)
        self._failures.show(failure_groups(state.own_stages))
        self._show_stages(state)
        self._show_buttons(state)

    def _warn(self, found: Outlook) -> None:
        self._warning.set_visibility(found.over_budget)
        if found.over_budget and found.usd_total is not None and found.budget_usd is not None:
            self._warning.set_text(
                f"At this rate the run comes to {'' if found.exact else 'over '}"
                f"{money(found.usd_total)}, its budget "
                f"is ${found.budget_usd:,.2f}: it will stop there."
            )

    def _show_sums(self, state: RunState, found: Outlook) -> None:
        own, used, recipe = state.own_stages, usage_of(state), state.header.recipe
        budget = found.budget_usd
        spent = f"of a budget of ${budget:,.2f}" if budget is not None else "spent"
        if nameless := unpriced(used, recipe):
            spent += f"; price of {', '.join(nameless)} unknown"
        sums = {
            "stages done": (f"{sum(s.published for s in own)} of {len(own)}", ""),
            "of work": (duration(state.seconds), ""),
            "tokens": (short_count(state.tokens), ""),
            "rejects": (count(sum(s.rejects for s in own)), ""),
            spent: (brief_cost(used, recipe), ""),
        }
        if state.failed:
            sums["shards failed"] = (count(state.failed), "alarmed")
        if found.seconds_left is not None and found.usd_total is not None:
            later = len(found.unknown)
            without = f", {plural(later, 'stage')} not counted" if later else ""
            if found.seconds_left:
                sums[f"left, about{without}"] = (duration(found.seconds_left), "")
            if found.usd_total:
                tone = "alarmed" if found.over_budget else ""
                total = money(found.usd_total)
                sums["in all, at this rate"] = (total if found.exact else f"over {total}", tone)
        if self._pace is not None:
            sums |= _pace_sums(self._pace, " at known prices" if nameless else "")
        if sums == self._sums:
            return
        self._sums = sums
        self._cards.clear()
        with self._cards:
            for name, (value, tone) in sums.items():
                with block("sum"):
                    line(value, f"value {tone}")
                    line(name, "soft small")

    def _show_stages(self, state: RunState) -> None:
        if not self._rows:
            with self._table:
                heading("Stages", 2)
                self._rows = {s.name: StageRow(self._run, s) for s in state.stages}
        for stage in state.stages:
            self._rows[stage.name].show(stage, state.header.recipe)

    def _build_buttons(self) -> None:
        """All that can ever be asked for; what can't be now is hidden, nothing is built anew."""
        run = self._run
        with self._buttons:
            ui.link("Quality", f"/quality/{run}").classes("button")
            ui.link("Compare", f"/compare?runs={run}").classes("button")
            if self._site.actions is None:
                return
            self._offers = {
                "unpause": button("Resume", self._resume, "solid"),
                "pause": button("Pause", self._pause_run, "outline"),
                "raise": button("Raise the budget", partial(self._ask, "raise"), "solid"),
                "retry": button("Retry", partial(self._ask, "retry"), "solid"),
                "go on": button("Resume", partial(self._ask, "go on"), "solid"),
            }

    def _show_buttons(self, state: RunState) -> None:
        """What can be done now; a button never offers what would do nothing."""
        questions = {} if state.attended or state.final else self._questions(state)
        paused = bool(state.header.pause)
        now = {*questions, ("unpause" if paused else "pause") if state.attended else ""}
        for name, made in self._offers.items():
            if (question := questions.get(name)) is not None:
                made.set_text(question.button)
            made.set_visibility(name in now)
        if "go on" in questions:
            restyle(self._offers["go on"], "outline" if "retry" in questions else "solid")

    def _questions(self, state: RunState) -> dict[str, ActionQuestion]:
        """What a run that nobody is at can be asked for."""
        if not self._offers:
            return {}
        found: dict[str, ActionQuestion] = {}
        failed = [s for s in state.own_stages if s.failed - s.quarantined]
        if failed:
            found["retry"] = retry_failed(state, failed)
        if any(shard.out_of_money for s in state.own_stages for shard in s.shards):
            found["raise"] = raise_budget(state, self._expected)
        else:
            found["go on"] = go_on(state, self._expected)
        return found

    def _ask(self, name: str) -> None:
        """Ask with the figures of now: the button may have stood there for a while."""
        state = self._state
        question = self._questions(state).get(name) if state is not None else None
        if state is not None and question is not None:
            ask(self._dialog, self._site, state.header, question)

    def _ask_group(self, group: FailureGroup) -> None:
        if self._state is not None:
            ask(self._dialog, self._site, self._state.header, retry_group(self._state, group))

    def _pause_run(self) -> None:
        actions = self._site.actions
        assert actions is not None
        act(lambda: actions.pause(self._run), "Paused: nothing new is begun or bought.")
        self._site.watch.forget(self._run)

    def _resume(self) -> None:
        actions = self._site.actions
        assert actions is not None
        act(lambda: actions.resume(self._run), "Resumed: its workers go on within seconds.")
        self._site.watch.forget(self._run)


def _pace_sums(now: Pace, known: str) -> dict[str, tuple[str, str]]:
    found = {}
    if now.usd_per_hour:
        found[f"an hour, now{known}"] = (money(now.usd_per_hour), "")
    if now.tokens_per_s:
        found["tokens a second, now"] = (short_count(now.tokens_per_s), "")
    if now.truncated is not None:
        found["of answers cut off"] = (f"{now.truncated:.1%}", "")
    if now.rejected is not None:
        found["rejected so far"] = (f"{now.rejected:.1%}", "")
    return found
