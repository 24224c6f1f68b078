"""``parrot check``: one tiny real request to each API of a recipe, and what came of it."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from parrot_cli.console import err, out
from parrot_cli.options import AsJson, Overrides, RecipePath, recipe_at
from parrot_cli.tables import Column, FittedTable
from parrot_core.errors import UserError
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import did_you_mean, plural, spent

if TYPE_CHECKING:
    from parrot_core.execution.engine_checks import EngineCheck


def check(
    recipe: RecipePath,
    engine: Annotated[
        list[str] | None, typer.Option("--engine", help="Only this engine; may be repeated.")
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Send one tiny request to each API of a recipe, as its stages would; costs cents."""
    from parrot_core.execution.engine_checks import check_engines
    from parrot_core.execution.selection import run_to_be
    from parrot_core.recipe import OpenAIEngine

    run = run_to_be(recipe_at(recipe, None, overrides), None)
    only = tuple(engine or ())
    for name in only:
        if name not in run.recipe.engines:
            hint = did_you_mean(name, run.recipe.engines)
            raise UserError(f"--engine: the recipe has no engine '{name}'{hint}")
    found: list[EngineCheck] = []
    with err.status("Asking …") as status:
        for each in check_engines(run, only):
            found.append(each)
            status.update(f"Asked {each.engine} …")
    if as_json:
        out.print_json(data=[each.to_json() for each in found])
    else:
        _show(found)
        local = [n for n, s in run.recipe.engines.items() if not isinstance(s, OpenAIEngine)]
        if local:
            out.print(f"Served here by vLLM, so not asked: {', '.join(local)}.", markup=False)
    raise typer.Exit(max((each.exit_code for each in found), default=0))


def _show(found: "list[EngineCheck]") -> None:
    names = ("reached", "accepted", "usage", "thinks", "latency", "price")
    columns = [Column("engine"), Column("asked as in", prose=True)]
    table = FittedTable([*columns, *map(Column, names)])
    for each in found:
        latency = f"{each.latency_s:.2f} s" if each.latency_s is not None else ""
        table.add(
            Text(one_line(f"{each.engine} ({each.model})", 80)),
            Text(", ".join(each.settings)),
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
        usd = sum(each.usd for each in found)
        unknown = [each.engine for each in found if each.accepted and each.price_known is False]
        out.print(f"{asked} bought, {spent(usd, unknown)}.", markup=False, highlight=False)


def _mark(good: bool) -> Text:
    return Text("yes", "green") if good else Text("no", "red")


def _word(value: bool | None, yes: str, no: str) -> str:
    return "" if value is None else yes if value else no
