"""A real headless Chromium, and what it must never do: ask anybody else, or run into an error."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def executable() -> str:
    """Path of a Chromium; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no Chromium here: none of {', '.join(NAMES)} is on the PATH")
    return found


@dataclass
class Browser:
    """One page, what it asked for and what went wrong in it."""

    page: Page
    base: str
    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """Open a path of the site under test."""
        self.page.goto(self.base + path)


@contextmanager
def browsing(base: str) -> Iterator[Browser]:
    """A page of 1280 × 860 that notes every request and every error."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=executable(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = chromium.new_page(viewport={"width": 1280, "height": 860})
        browser = Browser(page, base)

        def asked(url: str) -> None:
            here = (base, base.replace("http", "ws", 1), "data:", "blob:", "about:")
            if not url.startswith(here):
                browser.elsewhere.append(url)

        page.on("request", lambda request: asked(request.url))
        page.on("websocket", lambda socket: asked(socket.url))
        page.on("pageerror", lambda error: browser.errors.append(str(error)))
        page.on("dialog", lambda dialog: browser.errors.append(f"dialog: {dialog.message}"))
        try:
            yield browser
        finally:
            chromium.close()


def violations(browser: Browser) -> list[str]:
    """What axe finds on the page as it is shown now, in light and in dark, colours at rest."""
    found = []
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        browser.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for each in Axe().run(browser.page).response["violations"]:
            html = each["nodes"][0]["html"][:200]
            found.append(f"{scheme} {browser.page.url}: {each['id']}: {html}")
    browser.page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    return found
