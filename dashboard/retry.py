"""The dialog that asks before anything is run again, with the limits that may be changed for it."""

from collections.abc import Mapping, Sequence

from nicegui import ui
from nicegui.element import Element

from dashboard.site import Site
from dashboard.widgets import act, block, body, line
from parrot_core.monitor import RunHeader
from parrot_core.text.wording import plural

Number = int | float


def ask_retry(
    place: Element,
    site: Site,
    header: RunHeader,
    stage: str,
    shards: Sequence[int],
    rest: bool = False,
) -> None:
    """Open the dialog.

    Args:
        place: holds the dialog; the button that asks may be drawn anew while it is open.
        site: where to act.
        header: of the run.
        stage: of the shards; empty for all that is missing.
        shards: empty for all of the stage that are missing.
        rest: go on with stages that nobody has asked for yet, too.
    """
    actions = site.actions
    if actions is None:
        return
    what = _what(stage, shards)
    place.clear()
    with place, ui.dialog(value=True) as dialog, block("dialog card"):
        line(f"Retry {what} of '{header.name}'?", "title")
        body(
            "What is done stays, what was bought is not bought again. It runs as `parrot retry` in "
            "a process of its own, on the machine of this dashboard.",
            "soft",
        )
        fields: dict[str, ui.number] = {}
        with ui.expansion("Change limits").classes("wide"):
            for path, value in limits_of(header.recipe).items():
                fields[path] = ui.number(path, value=value, min=0).props("dense outlined")

        def start() -> None:
            changed = changes(header.recipe, {path: f.value for path, f in fields.items()})
            act(
                lambda: actions.retry(header.name, stage, shards, changed, rest),
                f"Retrying {what}.",
            )
            site.watch.forget(header.name)
            dialog.close()

        with block("row end"):
            ui.button("Cancel", on_click=dialog.close).props("flat no-caps")
            ui.button("Retry", on_click=start).props("unelevated no-caps")


def limits_of(recipe: Mapping[str, object]) -> dict[str, Number | None]:
    """The operational limits of a recipe that a retry may change, by their dotted path."""
    found: dict[str, Number | None] = {}
    for path in ("budget_usd", "shards_at_once"):
        if path in recipe:
            found[path] = _number(recipe[path])
    engines = recipe.get("engines")
    for name, engine in engines.items() if isinstance(engines, Mapping) else ():
        limits = engine.get("limits") if isinstance(engine, Mapping) else None
        if isinstance(limits, Mapping):
            for limit in ("concurrency", "requests_per_minute", "tokens_per_minute"):
                if limit in limits:
                    found[f"engines.{name}.limits.{limit}"] = _number(limits[limit])
    return found


def changes(recipe: Mapping[str, object], wanted: Mapping[str, Number | None]) -> dict[str, Number]:
    """The limits that differ from the recipe's; whole numbers stay whole."""
    before = limits_of(recipe)
    found: dict[str, Number] = {}
    for path, value in wanted.items():
        if value is not None and value != before.get(path):
            whole = path != "budget_usd" and float(value).is_integer()
            found[path] = int(value) if whole else value
    return found


def _what(stage: str, shards: Sequence[int]) -> str:
    if len(shards) == 1:
        return f"shard {shards[0]} of {stage}"
    if shards:
        return f"{plural(len(shards), 'shard')} of {stage}"
    return f"the missing shards of {stage}" if stage else "everything that is missing"


def _number(value: object) -> Number | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
