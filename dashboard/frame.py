"""The frame around all pages: head, navigation, light and dark; pages change within it."""

from collections.abc import Callable
from functools import partial
from importlib.resources import files

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
        with ui.link(target="/").classes("brand"):
            ui.label("Parrot Factory")
        with ui.element("nav").props('aria-label="Pages"'):
            ui.link("Runs", "/")
            ui.link("Data", "/data")
        ui.label(site.lake.url).classes("lake mono").props(f'title="{"The lake"}"')
        if site.actions is None:
            ui.label("read-only").classes("chip")
        ui.button(icon="contrast", on_click=lambda: _turn(dark)).props(
            'flat round dense aria-label="Light or dark"'
        )
    with ui.element("div").classes("content"):
        ui.sub_pages({path: partial(page, site) for path, page in PAGES.items()})


def _turn(dark: ui.dark_mode) -> None:
    """From what the system wants to dark, light, and back."""
    following = {None: True, True: False, False: None}
    dark.set_value(following[dark.value])
    told = {None: "as the system has it", True: "dark", False: "light"}
    ui.notify(f"Colours: {told[dark.value]}", position="bottom-right", timeout=1200)
