"""``parrot check``: one tiny real request to each API of a recipe, and what came of it."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from parrot_cli.options import AsJson, Overrides, RecipePath, recipe_from
from parrot_core.errors import UserError
from parrot_core.execution.engine_checks import EngineCheck, check_engines
from parrot_core.execution.selection import run_to_be
from parrot_core.recipe import OpenAIEngine
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import did_you_mean, dollars, plural


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)


def check(
    recipe: RecipePath,
    engine: Annotated[
        list[str] | None, typer.Option("--engine", help="Only this engine; may be repeated.")
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Ask each API of a recipe one tiny request, with its stages' own parameters; costs cents."""
    run = run_to_be(recipe_from(recipe, None, overrides), None)
    only = tuple(engine or ())
    for name in only:
        if name not in run.recipe.engines:
            hint = did_you_mean(name, run.recipe.engines)
            raise UserError(f"--engine: the recipe has no engine '{name}'{hint}")
    err = Console(stderr=True, highlight=False)
    found: list[EngineCheck] = []
    with err.status("Asking …") as status:
        for each in check_engines(run, only):
            found.append(each)
            status.update(f"Asked {each.engine} …")
    out = Console(highlight=False)
    if as_json:
        out.print_json(data=[each.to_json() for each in found])
    else:
        _show(out, found)
        local = [n for n, s in run.recipe.engines.items() if not isinstance(s, OpenAIEngine)]
        if local:
            out.print(f"Served here by vLLM, so not asked: {', '.join(local)}.", markup=False)
    raise typer.Exit(max((each.exit_code for each in found), default=0))


def _show(out: Console, found: list[EngineCheck]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("engine", overflow="fold")
    table.add_column("asked as in", no_wrap=True)
    for name in ("reached", "accepted", "usage", "thinks", "latency", "price"):
        table.add_column(name, no_wrap=True)
    for each in found:
        latency = f"{each.latency_s:.2f} s" if each.latency_s is not None else ""
        table.add_row(
            Text(one_line(each.engine, 40)),
            Text("\n".join(each.settings)),
            *(_mark(each.reachable), _mark(each.accepted)),
            *(_word(each.usage_reported, "given", "missing"), _word(each.thinks, "yes", "no")),
            *(latency, _word(each.price_known, "known", "unknown")),
        )
    out.print(table if found else "The recipe has no engine that is an API.")
    for each in found:
        if each.error:
            out.print(Text(one_line(each.error, 1000), "red"), soft_wrap=True)
    if found:
        asked = plural(sum(each.accepted for each in found), "answer")
        unpriced = dict.fromkeys(each.engine for each in found if not each.price_known)
        price = dollars(sum(each.usd for each in found))
        and_more = f" and what {', '.join(unpriced)} costs, which isn't known" if unpriced else ""
        out.print(f"{asked} bought: {price}{and_more}.", markup=False)


def _mark(good: bool) -> Text:
    return Text("yes", "green") if good else Text("no", "red")


def _word(value: bool | None, yes: str, no: str) -> str:
    return "" if value is None else yes if value else no
