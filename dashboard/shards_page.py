"""The shards of one stage: a grid by state, one shard in detail, and retries."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from nicegui import ui
from nicegui.events import GenericEventArguments

from dashboard.failures_panel import FailuresPanel
from dashboard.keyed import KeyedChildren
from dashboard.live_tail_panel import LiveTailPanel
from dashboard.questions import ActionQuestion, retry_failed, retry_group, retry_shards
from dashboard.retry import ask
from dashboard.shard_grid import moved, shard_at, shard_grid
from dashboard.site import Site
from dashboard.widgets import (
    block,
    body,
    button,
    chip,
    facts,
    heading,
    in_thread,
    line,
    redraw,
    title,
)
from dashboard.words import in_words
from parrot_core.errors import ParrotError
from parrot_core.lake.attempts import AttemptFailure
from parrot_core.monitor import RunState, ShardState, StageState
from parrot_core.monitor.costs import cost_of
from parrot_core.monitor.failures import FailureGroup, failure_groups
from parrot_core.monitor.shard_state import ShardStatus
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import count, duration, plural, rate

ON_CLICK = "(e) => emit(e.offsetX, e.offsetY)"
ON_ARROW = "(e) => { if (e.key.startsWith('Arrow')) { e.preventDefault(); emit(e.key) } }"
TRACEBACK_CHARS = 12_000


def shards_page(site: Site, run: str, stage: str, shard: str = "") -> None:
    """Build the page; ``shard`` is the number of one to show at once."""
    _ShardsPage(site, run, stage, int(shard) if shard.isdecimal() else None)


class _ShardsPage:
    """The page and what it has shown."""

    def __init__(self, site: Site, run: str, stage: str, chosen: int | None) -> None:
        self._site = site
        self._run = run
        self._stage = stage
        self._chosen = chosen
        self._shards: Sequence[ShardState] = ()
        self._counted: tuple[Counter[ShardStatus], int, bool] | None = None
        self._offers: list[ui.button] = []
        self._state: RunState | None = None
        self._stage_state: StageState | None = None
        title(stage, run)
        with block("row head"):
            ui.link(run, f"/run/{run}").classes("crumb")
            heading(stage)
            block("grow")
            with block("row"):
                if site.actions is not None:
                    self._offers = [
                        self._offer(retry_failed, "solid"),
                        self._offer(partial(_retry_missing, shards=()), "outline"),
                    ]
        self._note = line("Reading the shards …", "soft", limit=600)
        with block("card", "section"):
            self._chips = block("row wrap")
            self._grid = ui.html("", sanitize=False).classes("shard-grid scroll")
            self._grid.props('tabindex=0 aria-label="Shards; the arrow keys move"')
            self._grid.on("click", self._click, js_handler=ON_CLICK)
            self._grid.on("keydown", self._arrow, js_handler=ON_ARROW)
        self._failures = FailuresPanel(run, self._ask_group if site.actions else None)
        self._tail_panel = LiveTailPanel(site, run, stage)
        self._detail = _Detail(self._offer if site.actions is not None else None)
        self._tail = body("", "log mono")
        self._tail.set_visibility(False)
        self._dialog = block("")
        ui.timer(1.0, self._show)

    async def _show(self) -> None:
        site, run, stage = self._site, self._run, self._stage
        try:
            state = await in_thread(lambda: site.watch.stage(run, stage))
            self._state = await in_thread(lambda: site.watch.run(run))
        except (ParrotError, OSError) as error:
            self._note.set_text(one_line(error, 600))
            return
        if state is None:
            self._note.set_text(f"There is no stage '{one_line(stage)}'.")
            return
        self._shards, self._stage_state = state.shards, state
        self._note.set_text(_summary(state))
        self._failures.show(failure_groups([state]))
        self._count(state)
        self._draw()
        self._show_detail()
        await self._tail_panel.look(state)
        if site.actions is not None:
            said = await in_thread(lambda: site.actions.tail(run) if site.actions else "")
            self._tail.set_visibility(bool(said))
            self._tail.set_text(said[-4000:])

    def _count(self, stage: StageState) -> None:
        counted = Counter(shard.status for shard in self._shards)
        now = (counted, stage.quarantined, stage.attended)
        if now == self._counted:
            return
        self._counted = now
        self._chips.clear()
        with self._chips:
            for status, number in counted.most_common():
                chip(status, f"{number:,} {status}")
            if stage.quarantined:
                chip("failed", f"{stage.quarantined:,} of these in quarantine")
        may_retry = stage.failed - stage.quarantined
        missing = sum(s.status != "done" for s in self._shards)
        said = (f"Retry {may_retry} failed …", f"Retry {missing} missing …")
        there = (may_retry > 0, missing not in (0, may_retry) and not stage.attended)
        for made, text, visible in zip(self._offers, said, there, strict=False):
            made.set_text(text)
            made.set_visibility(visible)

    def _offer(self, question: "Asks", kind: str) -> ui.button:
        """A button that asks, with the figures of then, before it runs anything."""

        def opened() -> None:
            if self._state is not None and self._stage_state is not None:
                asked = question(self._state, [self._stage_state])
                ask(self._dialog, self._site, self._state.header, asked)

        made = button("", opened, kind)
        made.set_visibility(False)
        return made

    def _ask_group(self, group: FailureGroup) -> None:
        if self._state is not None:
            asked = retry_group(self._state, group)
            ask(self._dialog, self._site, self._state.header, asked)

    def _draw(self) -> None:
        redraw(self._grid, shard_grid(self._shards, self._chosen))

    def _show_detail(self) -> None:
        if self._state is None or self._chosen is None or self._chosen >= len(self._shards):
            return
        self._detail.show(self._shards[self._chosen], self._state.header.recipe)

    def _click(self, event: GenericEventArguments) -> None:
        x, y = event.args
        self._choose(shard_at(float(x), float(y), len(self._shards)))

    def _arrow(self, event: GenericEventArguments) -> None:
        self._choose(moved(self._chosen, str(event.args), len(self._shards)))

    def _choose(self, position: int | None) -> None:
        if position is None:
            return
        self._chosen = position
        self._draw()
        self._show_detail()
        ui.navigate.history.replace(f"/run/{self._run}/{self._stage}?shard={position}")


Asks = Callable[[RunState, Sequence[StageState]], ActionQuestion]


class _Detail:
    """One shard; while it is at work its facts change, its button and open logs stay."""

    def __init__(self, offer: Callable[[Asks, str], ui.button] | None) -> None:
        self._shown: ShardState | None = None
        with block("detail") as self._place, block("card", "section"):
            with block("row"):
                with block(tag="h2"):
                    self._title = ui.label()
                self._status = chip("waiting")
                block("grow")
                self._held = chip("failed", "in quarantine")
                self._retry = offer(self._question, "outline") if offer is not None else None
            self._facts = block("")
            self._attempts = KeyedChildren(block(""), _attempt)
        self._place.set_visibility(False)

    def show(self, shard: ShardState, recipe: Mapping[str, object]) -> None:
        """Show the shard as it is."""
        if shard == self._shown:
            return
        self._shown = shard
        self._place.set_visibility(True)
        self._title.set_text(f"Shard {shard.index}")
        self._status.set_text(shard.status)
        self._status.classes(replace=f"chip {shard.status}")
        self._held.set_visibility(shard.quarantined)
        if self._retry is not None:
            held = shard.quarantined
            self._retry.set_text("Release and retry …" if held else "Retry this shard …")
            self._retry.set_visibility(shard.status not in ("done", "running"))
        self._facts.clear()
        with self._facts:
            facts(_facts(shard, recipe))
        self._attempts.show((shard.index, failure) for failure in reversed(shard.failures))

    def _question(self, state: RunState, stages: Sequence[StageState]) -> ActionQuestion:
        shards = () if self._shown is None else (self._shown.index,)
        return _retry_missing(state, stages, shards)


def _retry_missing(
    state: RunState, stages: Sequence[StageState], shards: Sequence[int]
) -> ActionQuestion:
    return retry_shards(state, stages[0], shards)


def _summary(state: StageState) -> str:
    if not state.shards:
        return (
            "This stage has not been planned yet."
            if not state.published
            else (f"Published as {state.output}@{state.version}; it was made by another run.")
        )
    return (
        f"{plural(len(state.shards), 'shard')}, {count(state.done)} of {count(state.total)} "
        f"{state.unit or 'unit'}s. Click one, or move with the arrow keys."
    )


def _facts(shard: ShardState, recipe: Mapping[str, object]) -> dict[str, object]:
    speed = shard.done / shard.seconds if shard.seconds and shard.done else None
    found: dict[str, object] = {
        "done": f"{count(shard.done)} of {count(shard.total)}",
        "attempts": shard.attempts,
        "worker": shard.worker or "-",
        "time": duration(shard.seconds),
        "begun": f"{shard.started_at:%Y-%m-%d %H:%M:%S} UTC" if shard.started_at else "-",
        "last word": f"{shard.updated_at:%H:%M:%S} UTC" if shard.updated_at else "-",
        "speed": rate(speed, "") or "-",
        "rejects": ", ".join(f"{n} {in_words(why)}" for why, n in shard.rejected.items()) or "none",
    }
    for engine, used in shard.usage.items():
        found[engine] = (
            f"{count(used.requests)} requests, {count(used.tokens)} tokens, "
            f"{cost_of([(engine, used)], recipe)}"
        )
    found |= {f"{name} is paused": why for name, why in shard.paused.items()}
    found |= {f"{name} waits": why for name, why in shard.waiting.items()}
    found |= {f"warning {n}": text for n, text in enumerate(shard.warnings[:5], start=1)}
    return found


def _attempt(of_shard: tuple[int, AttemptFailure]) -> None:
    _, failure = of_shard
    with block("note alarm"):
        ended = f", {failure.ended_at:%H:%M:%S} UTC" if failure.ended_at else ""
        line(f"Attempt {failure.attempt} at {failure.worker}{ended}", "soft small")
        body(f"{failure.error_type}: {failure.message}", "title", limit=2000)
        if failure.traceback:
            with ui.expansion("Log of the attempt, its end").classes("wide"):
                body(failure.traceback[-TRACEBACK_CHARS:], "log mono", limit=TRACEBACK_CHARS)
