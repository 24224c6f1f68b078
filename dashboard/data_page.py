"""All published versions, by dataset."""

from itertools import groupby

from nicegui import ui

from dashboard.site import Site
from dashboard.widgets import block, heading, in_thread, line, read, title
from parrot_core.lake.manifest import Manifest
from parrot_core.text.wording import count, dollars

HEAD = ("version", "rows", "rejects", "size", "cost", "published (UTC)", "read")


async def data_page(site: Site) -> None:
    """Build the page."""
    title("Data")
    heading("Data")
    with block("shelves"):
        waiting = line("Reading the lake …", "soft")
        found = await read(site.version_cache.versions)
        waiting.set_visibility(False)
        if found is None:
            return
        for what in site.version_cache.damaged:
            with block("note alarm").props('role="alert"'):
                line(what, limit=600)
        exports = await in_thread(lambda: _order(site))
        if not found and not site.version_cache.damaged:
            line("This lake holds no published version yet.", "soft")
        found.sort(key=lambda m: (exports.get(m.name, 99), m.name))
        for name, versions in groupby(found, key=lambda m: m.name):
            _dataset(name, list(versions))


def _order(site: Site) -> dict[str, int]:
    return {spec.output: place for place, spec in enumerate(site.watch.stages)}


def _dataset(name: str, versions: list[Manifest]) -> None:
    with block("card", "section"):
        heading(name, 2)
        with block("scroll"), block("grid", "table"):
            with block("", "thead"), block("", "tr"):
                for name in HEAD:
                    with block("n" if name in HEAD[1:5] else "", "th"):
                        ui.label(name)
            with block("", "tbody"):
                for manifest in versions:
                    _version(manifest)


def _version(manifest: Manifest) -> None:
    where = f"{manifest.name}/{manifest.version}"
    size = sum(entry.bytes for entry in manifest.files)
    rows = count(manifest.accounting.rows_out) if manifest.kind == "dataset" else ""
    cells = (
        rows,
        count(manifest.accounting.rows_rejected) if rows else "",
        f"{size / 1e6:,.1f} MB" if size > 1e5 else f"{size / 1e3:,.1f} kB",
        dollars(manifest.usd),
        manifest.created_at[:16].replace("T", " "),
    )
    with block("", "tr"):
        with block("", "td"):
            if manifest.kind == "dataset":
                ui.link(manifest.version, f"/data/{where}")
            else:
                ui.link(manifest.version, f"/quality/{manifest.run}")
        for position, cell in enumerate(cells):
            with block("n" if position < 4 else "", "td"):
                line(cell)
        with block("", "td"), block("row"):
            if manifest.kind == "dataset":
                ui.link("read", f"/data/{where}")
                if manifest.accounting.rows_rejected:
                    ui.link("rejects", f"/data/{where}?part=rejects")
                ui.link("review a sample", f"/review/{where}")
