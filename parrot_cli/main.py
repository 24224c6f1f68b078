"""The ``parrot`` command: run, watch, retry and read what the factory makes."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from flows import logs
from parrot_cli import (
    check,
    control,
    data,
    lake,
    measure,
    operate,
    preview,
    prove,
    recipes,
    reports,
    runs,
    server,
)
from parrot_cli.console import err
from parrot_core import __version__
from parrot_core.errors import ParrotError

app = typer.Typer(
    name="parrot",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A data factory for multi-turn dialogue: ShareGPT in, Parrot-Chat and its data out.",
)

COMMANDS: dict[str, tuple[Callable[..., Any], ...]] = {
    "Run": (
        recipes.init,
        check.check,
        runs.plan,
        preview.preview,
        runs.run,
        runs.retry,
        control.pause,
        control.resume,
        control.cancel,
    ),
    "Watch": (runs.status, control.logs, control.dashboard, reports.report, reports.diff),
    "Data": (
        data.import_,
        data.export,
        lake.versions,
        lake.show,
        lake.verify,
        lake.collect_garbage,
    ),
    "Measure": (data.stats, prove.prove, measure.accuracy, measure.answers, measure.ablate),
    "Recipes": (recipes.validate, recipes.settings, recipes.fetch),
    "Operate": (operate.deploy, operate.list_, operate.workers, operate.metrics, operate.requests),
}
"""All commands, as ``--help`` groups them."""
_NAMES = {"import_": "import", "list_": "list", "collect_garbage": "gc"}

for _panel, _commands in COMMANDS.items():
    for _command in _commands:
        _name = _NAMES.get(_command.__name__, _command.__name__)
        app.command(_name, rich_help_panel=_panel)(_command)
app.add_typer(server.app, name="server", rich_help_panel="Operate")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"parrot {__version__}")
        raise typer.Exit


@app.callback()
def options(
    log_format: Annotated[
        logs.LogFormat,
        typer.Option(
            "--log-format",
            envvar="PARROT_LOG_FORMAT",
            help="json: one JSON object a line on standard error.",
        ),
    ] = logs.LogFormat.TEXT,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """A data factory for multi-turn dialogue: ShareGPT in, Parrot-Chat and its data out."""
    logs.set_up(log_format)


def main() -> None:
    """Entry point: one clear line for what goes wrong, never a bare traceback."""
    try:
        app(standalone_mode=True)
    except ParrotError as error:
        _tell(f"error: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _tell("interrupted; run the same command again to resume")
        sys.exit(130)
    except Exception as error:
        log = Path(os.environ.get("PARROT_WORK", ".parrot/work")) / "last-error.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(traceback.format_exc())
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        _tell(f"error: {what} (a bug, most likely; traceback in {log})")
        sys.exit(1)


def _tell(what: str) -> None:
    """Say why the command ends."""
    if logs.as_json():
        logs.COMMAND.error("%s", what.removeprefix("error: "))
    else:
        err.print(what, markup=False, soft_wrap=True)
