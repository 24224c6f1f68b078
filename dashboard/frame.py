"""The frame around all pages: head, navigation, light and dark; pages change within it."""

from collections.abc import Callable
from functools import partial
from importlib.resources import files

from markupsafe import Markup
from nicegui import ui

from dashboard.browse_page import browse_page
from dashboard.compare_page import compare_page
from dashboard.data_page import data_page
from dashboard.preferences import prefer, preference
from dashboard.quality_page import quality_page
from dashboard.review_page import review_page
from dashboard.row_page import row_page
from dashboard.run_page import run_page
from dashboard.runs_page import runs_page
from dashboard.shards_page import shards_page
from dashboard.site import Site
from dashboard.widgets import drawing, in_thread

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

WATCH = """setInterval(async () => { if (!window.socket || window.socket.connected) return;
try { const answer = await fetch('/alive', {cache: 'no-store'});
if (answer.status === 401) location.href =
'/login?next=' + encodeURIComponent(location.pathname + location.search); } catch (e) {} }, 2000)"""
"""A page that lost its connection asks whether it is still let in; else it leads to the login."""

PLACE = """history.scrollRestoration = 'manual'; (() => { let saving, timer, held = 0;
const key = () => 'at ' + location.pathname + location.search;
addEventListener('scroll', () => { clearTimeout(saving); saving = setTimeout(() => {
if (Date.now() > held) sessionStorage.setItem(key(), scrollY); }, 150); }, {passive: true});
const back = () => { clearInterval(timer); held = 0;
const at = Number(sessionStorage.getItem(key())); if (!at) return;
held = Date.now() + 15000; timer = setInterval(() => {
if (Date.now() > held) clearInterval(timer);
else if (Math.abs(scrollY - at) <= 1) held = Math.min(held, Date.now() + 3000);
else if (document.documentElement.scrollHeight >= at + innerHeight) scrollTo(0, at); }, 50); };
for (const own of ['wheel', 'touchstart', 'mousedown', 'keydown'])
addEventListener(own, () => { held = 0; }, {passive: true});
addEventListener('popstate', back); back(); })()"""
"""Back, forward and a reload lead to the place where one was, once the page is that long again."""

THEMES = {"system": None, "dark": True, "light": False}

LOOKED_FOR_EVERY_S = 20.0

Page = Callable[..., object]

PAGES: dict[str, Page] = {
    "/": runs_page,
    "/run/{run}": run_page,
    "/run/{run}/{stage}": shards_page,
    "/compare": compare_page,
    "/data": data_page,
    "/data/{dataset}/{version}": browse_page,
    "/data/{dataset}/{version}/{position}": row_page,
    "/review/{dataset}/{version}": review_page,
    "/quality/{run}": quality_page,
}


def frame(site: Site) -> None:
    """Build the page that all others are shown in."""
    ui.add_css(files("dashboard").joinpath("style.css").read_text())
    ui.add_head_html(f"<script>{WATCH};{PLACE}</script>")
    dark = ui.dark_mode(THEMES.get(preference("theme")))
    with ui.element("header").classes("top"):
        with ui.link(target="/").classes("brand row"):
            drawing(ICON, "mark")
            ui.label("Parrot Factory")
        with ui.element("nav").props('aria-label="Pages"'):
            ui.link("Runs", "/")
            ui.link("Data", "/data")
            ui.link("Compare", "/compare")
        _prefect(site)
        ui.label(site.lake.url).classes("lake mono").props('title="The lake"')
        if site.actions is None:
            ui.label("read-only").classes("chip")
        with ui.button(on_click=lambda: _turn(dark)).props(
            'flat round dense aria-label="Light or dark"'
        ):
            drawing(CONTRAST, "mark")
    with ui.element("div").classes("content") as content:
        ui.sub_pages({path: partial(page, site) for path, page in PAGES.items()})
    ui.skip_link("Skip to the content", target=content)


def _prefect(site: Site) -> None:
    """A link to Prefect's pages, once a server has answered."""
    link = ui.link("Prefect", "#", new_tab=True).classes("lake")
    link.set_visibility(False)

    async def look() -> None:
        known = await in_thread(site.prefect.look)
        if known is not None:
            link.props(f'href="{known[0]}"')
            link.set_visibility(True)

    ui.timer(0.5, look, once=True)
    ui.timer(LOOKED_FOR_EVERY_S, look, immediate=False)  # it may be started later


def _turn(dark: ui.dark_mode) -> None:
    """From what the system wants to dark, light, and back."""
    following = {None: True, True: False, False: None}
    dark.set_value(following[dark.value])
    name = next(name for name, value in THEMES.items() if value is dark.value)
    prefer("theme", name)
    words = "as the system has it" if dark.value is None else name
    ui.notify(f"Colours: {words}", position="bottom-right", timeout=1200)
