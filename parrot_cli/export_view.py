"""``parrot export`` in the terminal: a progress bar, then what was written where."""

from rich.console import Console

from parrot_cli.progress_bar import bar
from parrot_core.errors import UserError
from parrot_core.interchange.export import Exported
from parrot_core.interchange.export import export as write
from parrot_core.lake.lake import Lake
from parrot_core.schemas import DATASETS
from parrot_core.text.wording import plural


def export(
    lake: Lake,
    what: str,
    to: str,
    format: str,
    *,
    force: bool,
    public: bool,
    console: Console,
) -> Exported:
    """Export ``NAME[@VERSION]``.

    Raises:
        UserError: nothing of that name, or a place that isn't free.
    """
    name, _, wanted = what.partition("@")
    if name not in DATASETS:
        raise UserError(f"'{what}' is no dataset; expected one of {', '.join(DATASETS)}")
    if not wanted:
        published = [m for m in lake.versions() if m.name == name and m.kind == "dataset"]
        if not published:
            raise UserError(f"{lake.url}: no version of '{name}' is published")
        wanted = published[0].version
    version = lake.dataset(name, wanted)
    with bar(console) as reporter:
        rows = sum(entry.rows for entry in version.manifest.files)
        reporter.step(f"{name}@{wanted}", rows)
        return write(
            lake,
            version,
            to,
            format,
            force=force,
            public=public,
            progress=reporter.progress,
        )


def render(done: Exported) -> str:
    lines = [f"{file.path}: {plural(file.rows, 'row')}" for file in done.files]
    size = f"{done.bytes / 1e6:,.1f} MB"
    total = f"{done.version} as {done.format}: {plural(done.rows, 'row')}, {size} in {done.url}"
    return "\n".join([*lines, total])
