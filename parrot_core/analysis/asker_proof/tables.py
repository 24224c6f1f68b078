"""A proof as tables, for the terminal and for Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any

from parrot_core.analysis.asker_proof.likelihoods import GROUPS
from parrot_core.analysis.asker_proof.measures import SHARES
from parrot_core.text.text_table import Grid
from parrot_core.text.wording import with_bounds

WRITERS = {
    "human": "the human",
    "asker": "the asker",
    "base": "its base, before training",
    "role_play": "told to play the user",
    "bare": "a bare user turn",
}


def proof_grids(result: Mapping[str, Any]) -> list[Grid]:
    """The tables of a proof: by domain what people and the writers wrote; then the rest."""
    grids = []
    for name, domain in result["domains"].items():
        grids += [
            _likelihood(name, domain["likelihood"]),
            _follow_ups(name, domain, result["writers"]),
            _differences(name, domain),
        ]
    if result.get("ending"):
        grids += [_ending(result["ending"]), _ending_by_turn(result["ending"])]
    return [*grids, _alone(result), _told_apart(result)]


def _likelihood(domain: str, found: Mapping[str, Any]) -> Grid:
    models = list(next(iter(found.values()))["models"])
    others = models[1:]
    rows = []
    for group in GROUPS:
        if group in found:
            each = found[group]
            values = (_shown(each["models"][name], 1, 3) for name in models)
            less = (
                f"{_shown(each['less'][name], 1, 3)}, higher in {each['less'][name]['higher_in']}"
                for name in others
            )
            rows.append((group, str(each["queries"]), *values, *less))
    header = (
        "",
        "queries",
        *(WRITERS[name] for name in models),
        *(f"{WRITERS[name]} less {WRITERS[models[0]]}" for name in others),
    )
    title = f"Negative log-likelihood of human turns, nats a token: {domain}"
    return Grid(title, header, tuple(rows))


def _follow_ups(name: str, domain: Mapping[str, Any], writers: Mapping[str, str]) -> Grid:
    found = domain["follow_ups"]
    rows = [
        (title, *(_shown(found[who][key], scale, 1) for who in found))
        for key, title, scale in _measures()
    ]
    models = ", ".join(f"{WRITERS[who]}: {model}" for who, model in writers.items())
    title = f"The next query after {domain['contexts']['taken']} human contexts, {name}; {models}"
    return Grid(title, ("", *(WRITERS[who] for who in found)), tuple(rows))


def _differences(name: str, domain: Mapping[str, Any]) -> Grid:
    differences, nearer = domain["differences"], domain["nearer"]
    rows = [
        (
            title,
            *(_shown(differences[who][key], scale, 1) for who in differences),
            *(_shown(nearer[who][key], scale, 1) for who in nearer),
        )
        for key, title, scale in _measures()
    ]
    header = (
        "",
        *(f"asker less {WRITERS[who]}" for who in differences),
        *(f"distance from the human's, asker less {WRITERS[who]}" for who in nearer),
    )
    return Grid(
        f"How the asker's differ, {name} (a negative distance is nearer)", header, tuple(rows)
    )


def _measures() -> Iterator[tuple[str, str, int]]:
    for key, share in SHARES.items():
        yield key, share.title + (" (%)" if share.percent else ""), 100 if share.percent else 1


def _ending(found: Mapping[str, Any]) -> Grid:
    rows = []
    for who in _writers_of(found):
        each = found[who]
        figures = (each[name] for name in ("base_rate", "precision", "recall", "f1", "f1_always"))
        less = _shown(found["less"][who], 1, 2) if who in found["less"] else ""
        shown = ("–" if figure is None else f"{figure:.2f}" for figure in figures)
        rows.append((WRITERS[who], str(each["places"]), _shown(each["auc"], 1, 2), less, *shown))
    header = ("", "places", "AUC", "asker's AUC less this", "base rate", "precision", "recall")
    return Grid(
        "Where the session ends: the end's probability at places where people stopped or went on",
        (*header, "F1", "F1 of ending everywhere"),
        tuple(rows),
    )


def _ending_by_turn(found: Mapping[str, Any]) -> Grid:
    writers = _writers_of(found)
    turns = found[writers[0]]["by_turn"]
    rows = []
    for turn, places in turns.items():
        aucs = (found[who]["by_turn"][turn]["auc"] for who in writers)
        shown = ("–" if auc is None else f"{auc:.2f}" for auc in aucs)
        rows.append((turn, str(places["places"]), str(places["ends"]), *shown))
    header = ("turn", "places", "ends", *(f"AUC, {WRITERS[who]}" for who in writers))
    return Grid("Where the session ends, by turn", header, tuple(rows))


def _writers_of(found: Mapping[str, Any]) -> list[str]:
    return [who for who in WRITERS if who in found]


def _alone(result: Mapping[str, Any]) -> Grid:
    diverse = result["diversity"]
    measures: list[tuple[str, Mapping[str, Any], str, int]] = [
        ("speaks as the user when provoked (%)", result["role"], "less", 100),
        ("distinct 1-grams over samples (%)", diverse["distinct_1"], "less", 100),
        ("distinct 2-grams over samples (%)", diverse["distinct_2"], "less", 100),
        ("type-token ratio in a moving window (%)", diverse["mattr"], "nearer", 100),
    ]
    writers = ("human", *result["writers"])
    others = [who for who in result["writers"] if who != "asker"]
    rows = []
    for title, found, compared, scale in measures:
        values = (_shown(found[who], scale, 1) if who in found else "–" for who in writers)
        rows.append((title, *values, *(_shown(found[compared][who], scale, 1) for who in others)))
    header = (
        "",
        *(WRITERS[who] for who in writers),
        *(f"asker less {WRITERS[who]} (of the ratio: distance)" for who in others),
    )
    return Grid("Role and diversity", header, tuple(rows))


def _told_apart(result: Mapping[str, Any]) -> Grid:
    rows = []
    for name, each in result["told_apart"].items():
        who, _, control = name.partition(", ")
        title = {"people": "people from other people"}.get(who, "")
        title = title or f"{WRITERS[who]}{f', {control}' if control else ' from people'}"
        rows.append((title, str(each["n"]), _shown(each, 1, 2)))
    return Grid(
        "Told apart by a classifier, length-matched (0.5 is chance)",
        ("", "queries a side", "AUC"),
        tuple(rows),
    )


def _shown(estimate: Mapping[str, Any], scale: int, digits: int) -> str:
    return with_bounds(estimate["value"], estimate["low"], estimate["high"], digits, scale)
