"""A proof as tables, for the terminal and for Markdown."""

from collections.abc import Mapping
from typing import Any

from parrot_core.analysis.asker_proof.measures import SHARES
from parrot_core.text.text_table import Grid

WRITERS = {"human": "the human", "asker": "the asker", "instruct": "told to play the user"}
MODELS = {
    "before": "base, before training",
    "after": "the asker, after",
    "role_play": "told to play the user",
}


def proof_grids(result: Mapping[str, Any]) -> list[Grid]:
    """The tables of a proof: likelihood of human follow-ups, then what each writer wrote."""
    return [_likelihood(result), _follow_ups(result)]


def _likelihood(result: Mapping[str, Any]) -> Grid:
    found = result["likelihood"]
    rows = [
        (MODELS[name], str(each["tokens"]), _shown(each, 1, 3))
        for name, each in found["models"].items()
    ]
    for name, each in found["gains"].items():
        first, _, second = name.partition(" - ")
        title = f"{MODELS[first]} less {MODELS[second]}"
        rows.append((title, f"the latter lower in {each['lower_in']}", _shown(each, 1, 3)))
    title = (
        f"Negative log-likelihood of held-out human follow-ups, nats a token: {found['queries']} "
        f"queries, {found['too_long']} too long"
    )
    return Grid(title, ("", "tokens", "nats a token"), tuple(rows))


def _follow_ups(result: Mapping[str, Any]) -> Grid:
    columns = [result["follow_ups"][who] for who in WRITERS]
    columns += [result["differences"][who] for who in ("instruct", "human")]
    rows = []
    for name, share in SHARES.items():
        scale, digits = (100, 1) if share.percent else (1, 1)
        unit = " (%)" if share.percent else ""
        shown = (_shown(column[name], scale, digits) for column in columns)
        rows.append((share.title + unit, *shown))
    told = {"human": None, **result["told_apart"]}
    apart = ("–" if told[who] is None else _shown(told[who], 1, 2) for who in WRITERS)
    rows.append(("told from the human (AUC)", *apart, "", ""))
    title = (
        f"The next query after {result['contexts']['taken']} held-out human contexts; asker: "
        f"{result['asker']}, told to play the user: {result['instruct']}"
    )
    header = ("", *WRITERS.values(), "asker less role play", "asker less human")
    return Grid(title, header, tuple(rows))


def _shown(estimate: Mapping[str, Any], scale: int, digits: int) -> str:
    if estimate["value"] is None:
        return "–"
    value = f"{estimate['value'] * scale:.{digits}f}"
    if estimate["low"] is None:
        return value
    return f"{value} [{estimate['low'] * scale:.{digits}f}, {estimate['high'] * scale:.{digits}f}]"
