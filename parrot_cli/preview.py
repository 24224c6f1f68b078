"""``parrot preview``: a few dialogues, negatives or verdicts as they are written, before a run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from parrot_cli.console import out
from parrot_cli.options import AsJson, LakeUrl, NameIt, Overrides, RecipePath, recipe_at
from parrot_core.text.sanitise import one_line, sanitise
from parrot_core.text.wording import count, plural, short_count, spent

if TYPE_CHECKING:
    from parrot_core.engines.types import Completion

LONGEST = 4_000
"""Characters of one text that are shown."""
THOUGHT = 300
"""Characters of thinking that are shown."""


def preview(
    recipe: RecipePath,
    stage: Annotated[
        str, typer.Option("--stage", help="synthesize, select, capo or evaluate.")
    ] = "synthesize",
    number: Annotated[
        int, typer.Option("-n", "--number", min=1, max=100, help="Rows to work on.")
    ] = 3,
    query: Annotated[
        list[str] | None,
        typer.Option(
            "--query", help="Begin a dialogue with this query, not a seed; may be repeated."
        ),
    ] = None,
    name: NameIt = None,
    lake: LakeUrl = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Make a few dialogues (or negatives, or verdicts) and show them; nothing is published.

    Answers that are bought are kept: a run of the recipe doesn't buy them again.
    """
    from flows.stopping import stopping_on_signals
    from parrot_core.engines.limits.prices import price_of
    from parrot_core.execution.preview import preview as make
    from parrot_core.execution.selection import run_to_be
    from parrot_core.recipe import OpenAIEngine

    viewer = _Terminal(out, quiet=as_json)
    run = run_to_be(recipe_at(recipe, lake, overrides), name)
    with stopping_on_signals():
        done = make(run, stage, number, viewer, tuple(query or ()))
    if as_json:
        usage = {engine: used.model_dump() for engine, used in done.usage.items()}
        shown = {"stage": done.stage, "rows": done.rows, "rejects": done.rejects}
        out.print_json(data={**shown, "usage": usage, "bought": done.bought}, default=str)
        return
    tokens = sum(used.prompt_tokens + used.completion_tokens for used in done.usage.values())
    unpriced = [
        engine
        for engine in done.usage
        if isinstance(settings := run.recipe.engines[engine], OpenAIEngine)
        and price_of(settings) is None
    ]
    price = spent(sum(used.usd for used in done.usage.values()), unpriced)
    out.print(
        f"{plural(len(done.rows), 'row')} made, {count(len(done.rejects))} rejected. "
        f"{plural(done.bought, 'answer')} bought: {short_count(tokens)} tokens, {price}.",
        markup=False,
        highlight=False,
    )
    if not query:
        out.print("Nothing is published. A run of this recipe takes these answers over.")


class _Terminal:
    """Shows a preview as it is written. What models say is sanitised, and never read as markup."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet

    def begins(self, row: Mapping[str, Any]) -> None:
        self._print(Text(f"── {one_line(str(row['id']), 60)}", "dim"))
        if row.get("response"):  # a follow-up with its chosen answer
            self._text("query", str(row["query"]))
            self._text("chosen", str(row["response"]))
        elif row.get("query"):
            self._text("opening", str(row["query"]))

    def said(self, sample: str, engine: str, completion: "Completion") -> None:
        if completion.thinking:
            self._text("thinking", completion.thinking, limit=THOUGHT, style="dim italic")
        cut = ", cut at max_tokens" if completion.finish_reason == "length" else ""
        tokens = plural(completion.usage.completion_tokens, "token")
        self._text(_what(sample), completion.text, f"{engine}, {tokens}{cut}")

    def made(self, row: Mapping[str, Any]) -> None:
        told = [
            f"{key} {one_line(row[key], 120)}"
            for key in SHOWN
            if row.get(key) not in (None, "", False)
        ]
        self._print(Text(f"✓ {', '.join(told) or row['id']}", "green"))

    def refused(self, reject: Mapping[str, Any]) -> None:
        what = one_line(f"{reject['reason']}: {reject['detail']}", 400)
        self._print(Text(f"✗ {what}", "red"))

    def _text(
        self, what: str, text: str, remark: str = "", *, limit: int = LONGEST, style: str = ""
    ) -> None:
        head = Text.assemble((what, "bold"), (f"  {remark}" if remark else "", "dim"))
        shown = sanitise(text)
        clipped = shown if len(shown) <= limit else f"{shown[:limit]} …"
        self._print(head, Padding(Text(clipped, style), (0, 0, 0, 2)))

    def _print(self, *parts: Any) -> None:
        if not self._quiet:
            self._console.print(*parts, sep="\n")


SHOWN = (
    "n_turns",
    "end_reason",
    "strategy",
    "rule",
    "judge_verdict",
    "subject",
    "turn",
    "query",
    "score",
)
"""Columns of a row that say what came of it."""


def _what(sample: str) -> str:
    """What a completion is for, from the name of its sample: ``turn 2, answer``."""
    parts = [
        f"turn {part[1:]}" if part[0] == "t" and part[1:].isdecimal() else part
        for part in sample.split("/")[1:]
        if part
    ]
    return ", ".join(parts[-3:]) or sample
