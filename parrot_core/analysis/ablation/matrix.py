"""An ablation as a file: a base recipe and named cells, each with settings of its own."""

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from parrot_core.analysis.ablation.paper_tables import paper_tables
from parrot_core.errors import RecipeError
from parrot_core.recipe import SLUG
from parrot_core.recipe.base import Model


class Cell(Model):
    """One row of the table."""

    paper: str | None = Field(
        None, description="The row of the paper's table that it repeats; null: none."
    )
    label: str | None = Field(None, description="In the table; default: the paper's, or the name.")
    subject: str = Field(min_length=1, description="Engine of the recipe that is evaluated.")
    set: dict[str, Any] = Field({}, description="Settings by their path, e.g. train_sft.max_turns.")


class Matrix(Model):
    """A base recipe and the cells that vary it."""

    name: str = Field(pattern=SLUG, description="The cells' runs are NAME-CELL.")
    base: str = Field(min_length=1, description="The recipe, relative to this file.")
    table: str | None = Field(None, description="Table of the paper: table4, table5 or table6.")
    judged: bool = Field(
        True, description="Evaluate each cell with the judge; else its model is made, no more."
    )
    accuracy: bool = Field(
        False, description="Measure preference accuracy of the cells' models at the end, too."
    )
    answers: bool = Field(
        False,
        description=(
            "Measure how likely the cells' models find real answers at the end, too: of held-out "
            "sessions of the first cell's conversations."
        ),
    )
    set: dict[str, Any] = Field({}, description="Settings of all cells, by their path.")
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field(
        (),
        description=(
            "Every cell once with each of these seeds, so that the tables show how far replicates "
            "lie apart; what is pinned under `inputs` is the same for all. Empty: the recipe's."
        ),
    )
    cells: dict[str, Cell] = Field(min_length=1, description="Cells by name, in order.")


def load_matrix(path: Path) -> Matrix:
    """Read a matrix.

    Raises:
        RecipeError: it is missing, no YAML, or says something that can't be.
    """
    source = str(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(source, ["no such file; expected an ablation matrix in YAML"]) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(source, [f"can't be read: {str(error).splitlines()[0]}"]) from None
    try:
        matrix = Matrix.model_validate(data)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise RecipeError(source, problems) from None
    check_matrix(matrix, source)
    return matrix


def check_matrix(matrix: Matrix, source: str) -> None:
    """See that the matrix measures something, and names tables and rows that the paper has.

    Raises:
        RecipeError: it doesn't; ``source`` says in the message where it is from.
    """
    if problems := _problems(matrix):
        raise RecipeError(source, problems)


def _problems(matrix: Matrix) -> list[str]:
    if not (matrix.judged or matrix.accuracy or matrix.answers):
        return ["judged, accuracy and answers are all false: nothing would be measured"]
    if len(set(matrix.seeds)) < len(matrix.seeds):
        return [f"seeds: {list(matrix.seeds)}; expected each once"]
    if matrix.seeds and any(
        "seed" in settings
        for settings in (matrix.set, *(each.set for each in matrix.cells.values()))
    ):
        return ["seeds and a setting 'seed' contradict each other; leave one out"]
    tables = paper_tables().tables
    if matrix.table is not None and matrix.table not in tables:
        return [f"table: '{matrix.table}' is none of {', '.join(tables)}"]
    rows = tables[matrix.table].rows if matrix.table else {}
    return [
        f"cells.{name}.paper: '{cell.paper}' is no row of {matrix.table} ({', '.join(rows)})"
        for name, cell in matrix.cells.items()
        if cell.paper is not None and cell.paper not in rows
    ]
