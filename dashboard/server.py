"""Serves the dashboard: NiceGUI on uvicorn, behind the guard."""

import io
import logging
import os
import threading
import webbrowser
from collections.abc import Callable
from functools import partial

import pyarrow
import pyarrow.parquet
import uvicorn
from fastapi import FastAPI
from nicegui import app as nicegui_app
from nicegui import ui
from rich.console import Console
from starlette.middleware.gzip import GZipMiddleware

from dashboard.access import Guard, Secret, is_loopback, secret_for
from dashboard.actions import Actions
from dashboard.forecasts import Forecasts
from dashboard.frame import ICON, frame
from dashboard.prefect_link import PrefectLink
from dashboard.site import Site
from dashboard.version_cache import VersionCache
from dashboard.watch import StateWatcher
from parrot_core.errors import ParrotError
from parrot_core.lake.lake import Lake
from parrot_core.stages.registry import STAGE_SPECS

GZIP_LEVEL = 4
"""The browser waits for it: level 9, the default, takes twice as long for a twentieth less."""

logger = logging.getLogger(__name__)


def site_of(lake_url: str, prefect: PrefectLink, *, read_only: bool) -> Site:
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())  # gives back what a search took
    lake = Lake(lake_url)
    actions = None if read_only else Actions(lake)
    return Site(
        lake, StateWatcher(lake, STAGE_SPECS), VersionCache(lake), Forecasts(lake), prefect, actions
    )


def application(site: Site, secret: Secret, host: str, port: int) -> Guard:
    """The whole dashboard as an ASGI application. Once a process: NiceGUI is a singleton."""
    nicegui_app.config.quasar_config["loadingBar"]["skipHijack"] = True  # it has no name for axe
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    ui.run_with(
        app,
        root=partial(frame, site),
        title="Parrot Factory",
        favicon=str(ICON),
        dark=None,
        language="en-US",
        tailwind=False,
        binding_refresh_interval=None,
        show_welcome_message=False,
        gzip_middleware_factory=partial(GZipMiddleware, compresslevel=GZIP_LEVEL),
    )
    return Guard(app, secret, port, local_only=is_loopback(host))


def _warm(site: Site) -> None:
    """Do at the start what the first viewer would wait for; Arrow loads pieces of itself, too."""
    table = pyarrow.table({"text": ["warm"]})
    with io.BytesIO() as file:
        pyarrow.parquet.write_table(table, file)
        pyarrow.parquet.ParquetFile(file).read().take([0])
    try:
        site.watch.runs()
        site.version_cache.versions()
    except (ParrotError, OSError) as error:  # the pages show it where it matters
        logger.warning("%s", error)


def serve(
    lake_url: str,
    host: str,
    port: int,
    *,
    read_only: bool,
    browser: bool,
    console: Console,
    prefect_api: Callable[[], str | None],
) -> None:
    """Serve until interrupted; ``prefect_api`` says where a Prefect server is, if there is one.

    Raises:
        UserError: an address that others can reach, without a password.
    """
    secret = secret_for(host, os.environ)
    site = site_of(lake_url, PrefectLink(prefect_api), read_only=read_only)
    address = f"http://{'[::1]' if host == '::1' else host}:{port}/"
    entry = address if secret.chosen else f"{address}?token={secret.text}"
    mode = ", read-only" if read_only else ""
    console.print(f"Dashboard of {lake_url}{mode}: {entry}", markup=False, soft_wrap=True)
    config = uvicorn.Config(
        application(site, secret, host, port), host=host, port=port, log_level="warning"
    )
    threading.Thread(target=_warm, args=(site,), name="parrot-warm", daemon=True).start()
    if browser:
        threading.Timer(1.0, webbrowser.open, [entry]).start()
    uvicorn.Server(config).run()
