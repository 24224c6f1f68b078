"""The table of an ablation: each cell's scores beside the paper's."""

from collections.abc import Mapping, Sequence
from typing import Any

from parrot_core.analysis.ablation.matrix import Matrix
from parrot_core.analysis.ablation.paper_tables import PaperTable, paper_tables
from parrot_core.analysis.ablation.plan import CellPlan
from parrot_core.analysis.ablation.replicates import NOTE, replicates, shown_spread
from parrot_core.analysis.results.scores import judge_note
from parrot_core.lake.lake import Lake
from parrot_core.stages.evaluation.summary import Judged, summarise
from parrot_core.text.text_table import Grid
from parrot_core.text.wording import with_bounds

FIRST_TURNS = 2
"""MT-Bench has two turns: our first two stand beside it, all of ours beside MT-Bench++."""
COLUMNS = ("first_turns", "all_turns")
_READ = ("subject", "source_ids", "category", "turn", "score", "judge_model")


def ablation_folder(name: str) -> str:
    """Where an ablation's tables are kept in the lake."""
    return f"ablations/{name}"


def ablation_result(
    matrix: Matrix, plans: Sequence[CellPlan], failures: Mapping[str, str], lake: Lake
) -> dict[str, Any]:
    """Everything an ablation has found, as JSON."""
    published = paper_tables()
    table = published.tables[matrix.table] if matrix.table else None
    judges: set[str] = set()
    judged: dict[str, list[Judged]] = {}
    cells = []
    for plan in plans:
        if matrix.judged and plan.name not in failures:
            judged[plan.name] = _judged(plan, lake, judges)
        cells.append(
            {
                "cell": plan.cell,
                "seed": plan.seed,
                "label": plan.label,
                "run": plan.run,
                "made": list(plan.makes),
                "shared": dict(plan.pins),
                "failure": failures.get(plan.name),
                "paper": _paper(table, plan.paper, published.columns),
                "scores": _scores(judged.get(plan.name, []), plan),
            }
        )
    judge = ", ".join(sorted(judges))
    return {
        "name": matrix.name,
        "title": table.title if table else matrix.name,
        "source": published.source if table else None,
        "paper_judge": published.judge if table else None,
        "judge": judge,
        "judge_note": judge_note(judge),
        "questions": plans[0].recipe.evaluate.questions,
        "cells": cells,
        "replicates": _replicated(plans, cells, judged) if matrix.seeds else [],
    }


def _paper(
    table: PaperTable | None, row: str | None, columns: Sequence[str]
) -> dict[str, float] | None:
    if table is None or row is None:
        return None
    return dict(zip(columns, table.rows[row].scores, strict=True))


def _replicated(
    plans: Sequence[CellPlan],
    runs: Sequence[Mapping[str, Any]],
    judged: Mapping[str, Sequence[Judged]],
) -> list[dict[str, Any]]:
    """Each cell over all its seeds: the scores of all answers, and how far the seeds lie apart."""
    cells: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        cells.setdefault(run["cell"], []).append(run)
    spread = {
        column: replicates(
            {
                cell: [r["scores"][column]["overall"]["mean"] for r in of if column in r["scores"]]
                for cell, of in cells.items()
            }
        )
        for column in COLUMNS
    }
    lines = []
    for cell, of in cells.items():
        made = [plan for plan in plans if plan.cell == cell]
        answers = [each for plan in made for each in judged.get(plan.name, ())]
        failed = [f"seed {run['seed']}: {run['failure']}" for run in of if run["failure"]]
        lines.append(
            {
                **{name: of[0][name] for name in ("cell", "label", "paper")},
                "failure": "; ".join(failed) or None,
                "scores": _scores(answers, made[0]),
                "spread": {column: spread[column].get(cell) for column in COLUMNS},
            }
        )
    return lines


def _judged(plan: CellPlan, lake: Lake, judges: set[str]) -> list[Judged]:
    version = plan.recipe.inputs.get("judgments", plan.run)
    read = lake.dataset("judgments", version).rows(_READ)
    rows = [row for row in read if row["score"] is not None]
    judges.update(str(row["judge_model"]) for row in rows if row["judge_model"])
    return [Judged.from_row(row) for row in rows if row["subject"] == plan.label]


def _scores(judged: Sequence[Judged], plan: CellPlan) -> dict[str, Any]:
    """Mean scores with 95 % intervals over sessions: of the first two turns and of all.

    A session that was answered under several seeds is one session.
    """
    parts = ([each for each in judged if each.turn <= FIRST_TURNS], judged)
    return {
        column: summary.to_json()
        for column, answers in zip(COLUMNS, parts, strict=True)
        for summary in summarise(answers, plan.recipe.seed)
    }


def ablation_grid(result: Mapping[str, Any]) -> Grid:
    """One line a cell: the paper's scores, then ours with their intervals.

    Of replicates the mean over all seeds, and how far they lie apart (see ``replicates``).
    """
    papers = [cell["paper"] for cell in result["cells"] if cell["paper"]]
    columns = list(papers[0]) if papers else []
    rows = []
    for cell in result["replicates"] or result["cells"]:
        published = [f"{cell['paper'][name]:.2f}" if cell["paper"] else "–" for name in columns]
        if cell["failure"] and not cell["scores"]:
            ours: tuple[str, ...] = (f"failed: {cell['failure']}", "", "")
        else:
            spread = cell.get("spread", {})
            estimates = [cell["scores"].get(name, {}).get("overall") for name in COLUMNS]
            n = estimates[1]["n"] if estimates[1] else 0
            shown = (
                _shown(estimate) + shown_spread(spread.get(column))
                for column, estimate in zip(COLUMNS, estimates, strict=True)
            )
            ours = (*shown, str(n))
        rows.append((cell["label"], *published, *ours))
    header = (
        "cell",
        *(f"paper: {name}" for name in columns),
        f"ours: turns 1–{FIRST_TURNS}",
        "ours: all turns",
        "answers",
    )
    return Grid(result["title"], header, tuple(rows))


def ablation_markdown(result: Mapping[str, Any], more: Sequence[Grid] = ()) -> str:
    """The tables as Markdown, with what to know before comparing them."""
    parts = [f"# {result['name']}\n", ablation_grid(result).markdown(), f"{notes(result)}\n"]
    return "\n".join([*parts, *(grid.markdown() for grid in more)])


def notes(result: Mapping[str, Any]) -> str:
    """Where the numbers are from, in a few sentences."""
    said = [f"Ours: {result['questions']}, judged by {result['judge'] or 'nobody yet'}; in"]
    said.append("brackets 95 % bootstrap intervals over sessions.")
    if result["source"]:
        said.append(f"The paper's: {result['source']}, judged by {result['paper_judge']}; without")
        said.append("intervals. Only differences within a column can be compared.")
    if result["replicates"]:
        said.append(NOTE)
    return " ".join([*said, result["judge_note"]]).strip()


def _shown(estimate: Mapping[str, Any] | None) -> str:
    found = estimate or dict.fromkeys(("mean", "low", "high"))
    return with_bounds(found["mean"], found["low"], found["high"])
