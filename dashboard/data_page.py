"""All published versions, by dataset."""

from functools import partial
from itertools import groupby
from typing import get_args

from nicegui import ui

from dashboard.result_set import ResultSet, VersionPart, Wanted
from dashboard.site import Site
from dashboard.widgets import block, heading, in_thread, line, read, title
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.row_lookup import Part
from parrot_core.monitor.costs import brief_cost
from parrot_core.text.wording import count, plural

HEAD = ("version", "rows", "rejects", "size", "cost", "published (UTC)", "read")


async def data_page(site: Site) -> None:
    title("Data")
    heading("Data")
    with block("card filters", "section").props('role="search"'):
        _SearchEverywhere(site).build()
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


class _SearchEverywhere:
    """A search through all versions of all datasets: how often, and a link to each."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._asked = 0

    def build(self) -> None:
        """The field, and room for what is found."""
        self._search = ui.input(placeholder="Search all versions")
        self._search.props('dense outlined clearable aria-label="Search all versions"')
        self._search.on("keydown.enter", self._look)
        self._found = block("hits")
        ui.context.client.on_disconnect(self._end)

    def _end(self) -> None:
        self._asked += 1

    async def _look(self) -> None:
        text = (self._search.value or "").strip()
        self._asked += 1
        mine = self._asked
        self._found.clear()
        versions = await in_thread(self._site.version_cache.versions) if text else []
        for manifest in versions:
            for part in get_args(Part) if manifest.kind == "dataset" else ():
                wanted = Wanted(VersionPart(manifest.name, manifest.version, part), text)
                with self._found:
                    found = await read(partial(self._search_one, wanted, mine))
                if mine != self._asked or found is None:
                    return
                if found.positions:
                    said = f"{manifest.name} {manifest.version}, {part}"
                    with self._found, block("row small"):
                        ui.link(said, wanted.address())
                        line(plural(len(found.positions), "hit"), "soft")
        with self._found:
            line("That is all." if text else "", "soft small").props('role="status"')

    def _search_one(self, wanted: Wanted, mine: int) -> ResultSet:
        return self._site.version_cache.result_set(wanted, lambda *_: mine == self._asked)


def _order(site: Site) -> dict[str, int]:
    return {spec.output: place for place, spec in enumerate(site.watch.stages)}


def _dataset(name: str, versions: list[Manifest]) -> None:
    with block("card", "section"):
        heading(name, 2)
        scroll = block("scroll").props('tabindex=0 role="group"')
        scroll.props["aria-label"] = f"Versions of {name}"
        with scroll, block("grid", "table"):
            with block("", "thead"), block("", "tr"):
                for column in HEAD:
                    with block("n" if column in HEAD[1:5] else "", "th"):
                        ui.label(column)
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
        brief_cost(manifest.usage.items(), manifest.recipe),
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
