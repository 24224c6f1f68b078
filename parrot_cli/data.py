"""Commands about data itself: ``parrot stats`` and ``parrot export``."""

from pathlib import Path
from typing import Annotated

import typer

from parrot_cli.console import out, progress_console
from parrot_cli.options import DEFAULT_LAKE, AsJson, LakeHere
from parrot_core.errors import UserError
from parrot_core.text.wording import plural


def stats(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT...",
            help="NAME[@VERSION][:SPLIT] of the lake, or a file, folder or URL of sessions.",
        ),
    ],
    lake: LakeHere = DEFAULT_LAKE,
    seed: Annotated[int, typer.Option(help="Seed of random samples and intervals.")] = 42,
    sample: Annotated[
        int | None, typer.Option(min=2, help="Measure only this many sessions, drawn at random.")
    ] = None,
    tokenizer: Annotated[
        str, typer.Option(help="'words', or a model: folder, package:// or Hugging Face id.")
    ] = "words",
    human: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="Human sessions to compare with. Default: the held-out ones of a version's run.",
        ),
    ] = None,
    no_human: Annotated[bool, typer.Option("--no-human", help="Skip human-likeness.")] = False,
    asker: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Also Parrot-Ask's own perplexity: NAME[@VERSION] of the lake, or a folder.",
        ),
    ] = None,
    asker_queries: Annotated[
        int, typer.Option(min=2, help="Follow-up queries that the asker scores on each side.")
    ] = 60,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="ENGINE", help="Also ask this engine of the recipe; this may cost money."
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(help="The recipe with ENGINE. Default: that of the version's run."),
    ] = None,
    judge_queries: Annotated[int, typer.Option(min=1, help="Queries to judge in each set.")] = 200,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes for many sessions. Default: one a core.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots.")] = None,
    output: Annotated[Path | None, typer.Option("--out", help="Write the JSON here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure sessions: turns, lengths, context, Self-ROUGE, diversity, human-likeness.

    Shows several sets side by side, with the paper's Table 1.
    """
    from parrot_cli import statistics_view as statistics
    from parrot_core.lake.lake import Lake

    if human and no_human:
        raise UserError("stats: --human and --no-human exclude each other")
    wanted = statistics.StatisticsRequest(
        what=tuple(what),
        seed=seed,
        sample=sample,
        tokenizer=tokenizer,
        human="" if no_human else human,
        asker=asker,
        asker_queries=asker_queries,
        judge=judge,
        recipe=recipe,
        judge_queries=judge_queries,
        processes=processes,
    )
    found = statistics.measure(Lake(lake), wanted, progress_console(as_json))
    statistics.write(found, html, output)
    if as_json:
        out.print_json(data=[each.model_dump(mode="json") for each in found])
        return
    out.print(statistics.render(found))
    for file in filter(None, (html, output)):
        out.print(f"written: {file.absolute()}", markup=False, soft_wrap=True)


def import_(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT...",
            help="Files, folders, patterns or URLs; or one model: a folder or Hugging Face id.",
        ),
    ],
    kind: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="NAME",
            help="conversations, dialogues, parrot, seeds, preferences; "
            "or parrot-ask, parrot-sft, parrot-chat.",
        ),
    ],
    version: Annotated[
        str, typer.Option("--name", metavar="VERSION", help="Name of the version.")
    ] = "imported",
    lake: LakeHere = DEFAULT_LAKE,
    as_json: AsJson = False,
) -> None:
    """Publish what you have as a version that runs can start from.

    Takes records in any layout that ingest reads, and pairs (prompt, chosen, rejected).
    """
    from parrot_cli.progress_bar import bar
    from parrot_core.interchange.imported.publishing import MODELS, import_files, import_model
    from parrot_core.lake.lake import Lake

    opened = Lake(lake)
    if kind in MODELS:
        if len(what) != 1:
            raise UserError(f"--as {kind}: one model at a time")
        manifest = import_model(opened, what[0], kind, version)
    else:
        with bar(progress_console(as_json)) as reporter:
            manifest = import_files(opened, what, kind, version, reporter)
    if as_json:
        out.print_json(data=manifest.model_dump(mode="json"))
        return
    accounts = manifest.accounting
    said = f"published {kind}@{version}"
    if manifest.kind == "dataset":
        rejected = ", ".join(f"{n:,} {why}" for why, n in accounts.rejected.items())
        said += f": {plural(accounts.rows_in, accounts.unit)} read, {accounts.rows_out:,} taken, "
        said += f"{accounts.rows_rejected:,} rejected" + (f" ({rejected})" if rejected else "")
    out.print(said, markup=False, soft_wrap=True)
    for warning in manifest.warnings:
        out.print(warning, markup=False, style="yellow", soft_wrap=True)
    out.print(f"In a recipe: inputs: {{{kind}: {version}}}", markup=False, soft_wrap=True)


def export(
    what: Annotated[
        str, typer.Argument(metavar="NAME[@VERSION]", help="Default: the newest version.")
    ],
    to: Annotated[
        str,
        typer.Option("--to", help="Folder, URL (s3://, gs://) or hf://datasets/ORG/NAME."),
    ],
    format: Annotated[str, typer.Option("--format", help="hf, sharegpt, trl or parquet.")] = "hf",
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    public: Annotated[
        bool, typer.Option("--public", help="On the Hub: anyone may read it.")
    ] = False,
    lake: LakeHere = DEFAULT_LAKE,
    as_json: AsJson = False,
) -> None:
    """Export a version as a Hugging Face dataset, ShareGPT JSON, TRL JSONL or Parquet."""
    from parrot_cli import export_view as exporting
    from parrot_core.lake.lake import Lake

    done = exporting.export(
        Lake(lake),
        what,
        to,
        format,
        force=force,
        public=public,
        console=progress_console(as_json),
    )
    if as_json:
        out.print_json(data=done.to_json())
    else:
        out.print(exporting.render(done), markup=False, soft_wrap=True)
