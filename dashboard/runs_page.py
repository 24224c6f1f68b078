"""All runs with state, age, progress and cost; the numbers move."""

from datetime import UTC, datetime
from functools import partial

from nicegui import ui

from dashboard.keyed import KeyedChildren
from dashboard.prefect_link import Scheduled
from dashboard.site import Site
from dashboard.stage_rows import failed_words
from dashboard.widgets import Bar, block, body, chip, heading, in_thread, line, title
from parrot_core.errors import ParrotError
from parrot_core.monitor import RunState
from parrot_core.monitor.costs import cost_of_budget
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import count, duration, short_count


class _RunRow:
    """One run of the list."""

    def __init__(self, name: str) -> None:
        with (
            block("", "li"),
            ui.link(target=f"/run/{name}").classes("run card"),
        ):
            with block("row"):
                line(name, "name")
                self._chip = chip("waiting")
                self._failed = line("", "chip failed")
                self._failed.set_visibility(False)
                self._where = line("", "soft grow")
                self._age = line("", "soft")
            self._bar = Bar(f"Progress of {name}")
            with block("row soft small"):
                self._said = line("", "grow")
                self._cost = line("")

    def show(self, state: RunState, now: datetime) -> None:
        own = state.own_stages
        finished = sum(stage.published for stage in own)
        self._chip.set_text(state.status_text)
        self._chip.classes(replace=f"chip {state.status}")
        self._failed.set_text(failed_words(state.failed, state.quarantined))
        self._failed.set_visibility(bool(state.failed))
        busy = next((s for s in own if not s.published and (s.planned_at or s.shards)), None)
        self._where.set_text(_where(state) if busy is None else f"at {busy.name}")
        begun = state.header.created_at
        self._age.set_text(f"begun {duration((now - begun).total_seconds())} ago" if begun else "")
        part = (busy.percent or 0.0) / 100 if busy is not None else 0.0
        self._bar.show(100 * (finished + part) / max(1, len(own)), state.status)
        self._said.set_text(
            state.header.pause
            or f"{finished} of {len(own)} stages · {duration(state.seconds)} of work · "
            f"{short_count(state.tokens)} tokens · {count(sum(s.rejects for s in own))} rejects"
        )
        self._cost.set_text(cost_of_budget(state))

    def fail(self, error: Exception) -> None:
        """Say why the run can't be read now."""
        self._chip.set_text("unreadable")
        self._chip.classes(replace="chip failed")
        self._said.set_text(one_line(error, 600))


def runs_page(site: Site) -> None:
    title("Runs")
    heading("Runs")
    upcoming = line("", "soft")
    note = line("Reading the lake …", "soft")
    listing = block("plain", "ul")
    listed = KeyedChildren(listing, _RunRow)
    with block("") as empty:
        body("parrot run deployments/recipes/demo.yaml", "mono")
    empty.set_visibility(False)

    async def show() -> None:
        try:
            headers = await in_thread(site.watch.headers)
            note.set_text("" if headers else "This lake holds no run yet.")
            names = [header.name for header in headers]
            empty.set_visibility(not names)
            rows = listed.show(names)
            for name in names:  # one by one: a long run keeps no other from being shown
                try:
                    state = await in_thread(partial(site.watch.run, name))
                except (ParrotError, OSError) as error:
                    rows[name].fail(error)
                else:
                    rows[name].show(state, datetime.now(UTC))
        except (ParrotError, OSError) as error:
            note.set_text(one_line(error, 600))

    async def look_ahead() -> None:
        upcoming.set_text(_upcoming(await in_thread(site.prefect.look)))

    ui.timer(1.0, show)
    ui.timer(10.0, look_ahead)


def _upcoming(known: tuple[str, Scheduled | None] | None) -> str:
    """When the next scheduled run begins, where a Prefect server tells."""
    if known is None or known[1] is None:
        return ""
    left = (known[1].at - datetime.now(UTC)).total_seconds()
    return f"Next scheduled run: {known[1].name}, in {duration(max(0.0, left))}."


def _where(state: RunState) -> str:
    return state.header.description if state.status == "done" else ""
