"""The frame around all pages: head, navigation, light and dark; pages change within it."""

from collections.abc import Callable
from functools import partial
from importlib.resources import files

from markupsafe import Markup
from nicegui import ui

from dashboard.browse_page import browse_page
from dashboard.data_page import data_page
from dashboard.quality_page import quality_page
from dashboard.review_page import review_page
from dashboard.row_page import row_page
from dashboard.run_page import run_page
from dashboard.runs_page import runs_page
from dashboard.shards_page import shards_page
from dashboard.site import Site
from dashboard.widgets import drawing

ICON = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" '
    'rx="8" fill="#17704a"/><path d="M9 23V12a7 7 0 0 1 14 0c0 4-3 6-7 6h-3v5z" fill="#fff"/>'
    '<circle cx="16" cy="12" r="2" fill="#17704a"/></svg>'
)
CONTRAST = Markup(
    '<svg viewBox="0 0 24 24"><circle cx="12" cy="12" r="9" fill="none" stroke="currentColor" '
    'stroke-width="2"/><path d="M12 3a9 9 0 0 1 0 18z" fill="currentColor"/></svg>'
)
"""Drawn here: the first page waits for no font of icons."""

Page = Callable[..., object]

PAGES: dict[str, Page] = {
    "/": runs_page,
    "/run/{run}": run_page,
    "/run/{run}/{stage}": shards_page,
    "/data": data_page,
    "/data/{dataset}/{version}": browse_page,
    "/data/{dataset}/{version}/{position}": row_page,
    "/review/{dataset}/{version}": review_page,
    "/quality/{run}": quality_page,
}


def frame(site: Site) -> None:
    """Build the page that all others are shown in."""
    ui.add_css(files("dashboard").joinpath("style.css").read_text())
    dark = ui.dark_mode(None)
    with ui.element("header").classes("top"):
        with ui.link(target="/").classes("brand row"):
            drawing(ICON, "mark")
            ui.label("Parrot Factory")
        with ui.element("nav").props('aria-label="Pages"'):
            ui.link("Runs", "/")
            ui.link("Data", "/data")
        ui.label(site.lake.url).classes("lake mono").props('title="The lake"')
        if site.actions is None:
            ui.label("read-only").classes("chip")
        with ui.button(on_click=lambda: _turn(dark)).props(
            'flat round dense aria-label="Light or dark"'
        ):
            drawing(CONTRAST, "mark")
    with ui.element("div").classes("content"):
        ui.sub_pages({path: partial(page, site) for path, page in PAGES.items()})


def _turn(dark: ui.dark_mode) -> None:
    """From what the system wants to dark, light, and back."""
    following = {None: True, True: False, False: None}
    dark.set_value(following[dark.value])
    told = {None: "as the system has it", True: "dark", False: "light"}
    ui.notify(f"Colours: {told[dark.value]}", position="bottom-right", timeout=1200)
