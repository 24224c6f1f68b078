"""Commands about what the lake holds: ``parrot versions``, ``show``, ``verify`` and ``gc``."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parrot_cli.console import err, out, progress_console
from parrot_cli.options import DEFAULT_LAKE, AsJson, LakeHere
from parrot_core.errors import UserError
from parrot_core.text.wording import did_you_mean

if TYPE_CHECKING:
    from parrot_core.lake.lake import Lake
    from parrot_core.lake.manifest import Manifest


def versions(
    name: Annotated[str | None, typer.Argument(help="Only this dataset or model.")] = None,
    lake: LakeHere = DEFAULT_LAKE,
    as_json: AsJson = False,
) -> None:
    """List the published versions of datasets and models."""
    from parrot_cli.tables import Column, FittedTable, figures
    from parrot_core.lake.lake import Lake

    found = [m for m in Lake(lake).versions() if name in (None, m.name)]
    if as_json:
        out.print_json(data=[_brief(manifest) for manifest in found])
        return
    names = ("name", "version", "kind")
    counts = figures("rows", "rejects", "size")
    table = FittedTable([*map(Column, names), *counts, Column("published (UTC)")])
    for manifest in found:
        brief = _brief(manifest)
        rows = f"{brief['rows']:,}" if manifest.kind == "dataset" else ""
        rejects = f"{brief['rejected']:,}" if manifest.kind == "dataset" else ""
        table.add(
            *(manifest.name, manifest.version, manifest.kind, rows, rejects),
            *(f"{brief['bytes'] / 1e6:,.1f} MB", manifest.created_at[:16].replace("T", " ")),
        )
    out.print(table if found else f"{lake} holds no published version yet")


def show(
    what: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="Default: the newest.")],
    lake: LakeHere = DEFAULT_LAKE,
    rows: Annotated[int, typer.Option(help="How many rows to print.", min=0)] = 0,
    rejects: Annotated[
        bool, typer.Option("--rejects", help="Print rejected rows instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show a version: its accounts, inputs, usage and metrics, and rows if asked."""
    from parrot_cli.version_view import render_version
    from parrot_core.lake.lake import DatasetVersion, Lake

    version = _version(Lake(lake), what)
    sample: list[dict[str, Any]] = []
    if rows and isinstance(version, DatasetVersion):
        source = version.rejects() if rejects else version.rows()
        sample = [row for row, _ in zip(source, range(rows), strict=False)]
    if as_json:
        out.print_json(data={**version.manifest.model_dump(mode="json"), "sample": sample})
    else:
        out.print(render_version(version.manifest, version.url, sample))


def verify(
    what: Annotated[
        str | None, typer.Argument(metavar="NAME[@VERSION]", help="Default: the newest.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All published versions.")] = False,
    lake: LakeHere = DEFAULT_LAKE,
    as_json: AsJson = False,
) -> None:
    """Check every file of a version against its manifest; exit code 1 if anything is wrong.

    Finds missing files, flipped bits, files that no manifest names, accounts that don't close.
    """
    from parrot_cli import upkeep
    from parrot_core.lake.lake import Lake
    from parrot_core.lake.verify import manifests

    if everything == (what is not None):
        raise UserError("verify: name a version, or give --all")
    opened = Lake(lake)
    wanted, problems = manifests(opened) if what is None else ([_manifest(opened, what)], [])
    problems += upkeep.verify(opened, wanted, progress_console(as_json))
    if as_json:
        out.print_json(data=upkeep.verified_json(wanted, problems))
    else:
        for problem in problems:
            err.print(str(problem), markup=False, soft_wrap=True)
        for manifest in wanted:
            label = f"{manifest.name}@{manifest.version}"
            files = len(manifest.files) + len(manifest.reject_files)
            wrong = sum(problem.version == label for problem in problems)
            out.print(f"{label}: {files} files, {wrong} problems", markup=False)
    raise typer.Exit(1 if problems else 0)


def collect_garbage(
    lake: LakeHere = DEFAULT_LAKE,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove the files; otherwise they are only listed.")
    ] = False,
    grace: Annotated[
        str,
        typer.Option(metavar="TIME", help="Leave out runs that wrote something within this time."),
    ] = "1h",
    as_json: AsJson = False,
) -> None:
    """List files that no published version and no run needs; remove them with --yes."""
    from parrot_cli import upkeep
    from parrot_core.lake.gc import collect
    from parrot_core.lake.lake import Lake

    opened = Lake(lake)
    found = collect(opened, upkeep.grace_in(grace), datetime.now(UTC))
    if not as_json:
        upkeep.show_garbage(out, opened, found)
    if yes:
        upkeep.remove(opened, found, progress_console(as_json))
    if as_json:
        out.print_json(data=upkeep.garbage_json(opened, found, removed=yes))
    elif found.garbage:
        size = upkeep.size(found.bytes)
        out.print(f"removed {size}" if yes else f"{size} to remove: run it again with --yes")


def _manifest(lake: "Lake", what: str) -> "Manifest":
    """The version that ``NAME[@VERSION]`` means."""
    name, _, wanted = what.partition("@")
    published = lake.versions()
    found = [m for m in published if m.name == name and wanted in ("", m.version)]
    if not found:
        there = sorted({f"{m.name}@{m.version}" for m in published})
        hint = did_you_mean(what, [*there, *(m.name for m in published)])
        have = ", ".join(there) or "none"
        raise UserError(f"'{what}' is not a published version (published: {have}){hint}")
    return found[0]


def _version(lake: "Lake", what: str) -> Any:
    newest = _manifest(lake, what)
    opener = lake.dataset if newest.kind == "dataset" else lake.model
    return opener(newest.name, newest.version)


def _brief(manifest: "Manifest") -> dict[str, Any]:
    from parrot_core.monitor.costs import known_usd

    return {
        "name": manifest.name,
        "version": manifest.version,
        "kind": manifest.kind,
        "rows": manifest.accounting.rows_out,
        "rejected": manifest.accounting.rows_rejected,
        "bytes": sum(entry.bytes for entry in manifest.files),
        "created_at": manifest.created_at,
        "inputs": manifest.inputs,
        "usd": known_usd(manifest.usage.items(), manifest.recipe),
    }
