"""Commands for the local Prefect server: ``parrot server start`` and ``stop``."""

import typer

from parrot_cli.console import out

app = typer.Typer(no_args_is_help=True, help="The local Prefect server that `run` starts.")


@app.command()
def start() -> None:
    """Start the local Prefect server, or say where it is."""
    from parrot_cli import prefect_server

    out.print(f"Prefect: {prefect_server.ensure().ui_url}", markup=False)


@app.command()
def stop() -> None:
    """Stop the local Prefect server."""
    from parrot_cli import prefect_server

    stopped = prefect_server.stop()
    out.print(f"stopped {stopped.ui_url}" if stopped else "no server was running", markup=False)
