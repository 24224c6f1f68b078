"""The dialog that asks before anything is run, with the limits that may be changed for it."""

from collections.abc import Mapping
from dataclasses import replace

from nicegui import ui
from nicegui.element import Element

from dashboard.questions import ActionQuestion, Number, changes, limits_of, typed
from dashboard.site import Site
from dashboard.widgets import act, block, body, button, line
from parrot_core.monitor import RunHeader


def ask(place: Element, site: Site, header: RunHeader, question: ActionQuestion) -> None:
    """Open the dialog.

    Args:
        place: holds the dialog; the button that asks may be drawn anew while it is open.
    """
    actions = site.actions
    if actions is None:
        return
    place.clear()
    with place, ui.dialog(value=True) as dialog, block("dialog card"):
        dialog.props(f'aria-label="{question.button}"')
        line(question.title, "title")
        line(f"Runs: {question.runs}", limit=600)
        line(question.cost, limit=400)
        body(
            "What is done stays, what was bought is not bought again. It runs in a process of its "
            "own, on the machine of this dashboard.",
            "soft small",
        )
        line(typed(question.work), "mono small wrap", limit=600)
        fields = _fields(header.in_force or header.recipe, question.budget)

        def start() -> None:
            wanted = {path: field.value for path, field in fields.items()}
            work = replace(question.work, settings=changes(header.recipe, wanted))
            act(lambda: actions.retry(work), "Started.")
            site.watch.forget(header.name)
            dialog.close()

        with block("row end"):
            button("Cancel", dialog.close, "flat")
            button("Start", start, "solid")


def _fields(recipe: Mapping[str, object], budget: float | None) -> dict[str, ui.number]:
    """The limits; a budget that is to be raised stands in sight, the others behind a fold."""
    limits: dict[str, Number | None] = limits_of(recipe)
    fields: dict[str, ui.number] = {}
    if budget is not None:
        fields["budget_usd"] = _field("budget_usd", budget)
    with ui.expansion("Change limits").classes("wide"):
        for path, value in limits.items():
            if path not in fields:
                fields[path] = _field(path, value)
    return fields


def _field(path: str, value: Number | None) -> ui.number:
    return ui.number(path, value=value, min=0).props("dense outlined")
