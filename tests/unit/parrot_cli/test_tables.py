"""At 80 columns, narrower, or in a pipe: no figure, name or unit is cut or broken."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType
from rich.text import Text

from parrot_cli.console import WideConsole
from parrot_cli.tables import Column, FittedTable, figures, flowed


def shown(what: RenderableType, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(what)
    return out.getvalue()


def table(*rows: tuple[str, ...]) -> FittedTable:
    made = FittedTable([Column("stage"), Column("engine"), *figures("requests", "dollars")])
    for row in rows:
        made.add(*row)
    return made


def test_what_fits_is_a_table() -> None:
    lines = shown(table(("synthesize", "asker", "5,554", "$3.8280"))).splitlines()
    assert lines[0].split() == ["stage", "engine", "requests", "dollars"]
    assert lines[1].split() == ["synthesize", "asker", "5,554", "$3.8280"]


def test_what_does_not_fit_is_stacked_with_its_headings() -> None:
    long = "answerer (some-organisation/some-model-of-a-rather-long-name)"
    text = shown(table(("synthesize", long, "5,554", "$3.8280"), ("filter", "asks no engine")))
    assert long in text
    assert "requests 5,554 · dollars $3.8280" in text
    assert "…" not in text


def test_prose_is_wrapped_between_words_where_the_rest_fits() -> None:
    made = FittedTable([Column("what"), *figures("value"), Column("source", prose=True)])
    made.add("a session goes on after a turn", "0.969", "assumed: " + "chance of a next turn " * 3)
    lines = shown(made).splitlines()
    assert lines[1].startswith("a session goes on after a turn  0.969  assumed: ")
    assert len(lines) > 2
    assert max(map(len, lines)) <= 80


words = st.text("abcdefgh-_./0123456789$,%", min_size=1, max_size=60)


@given(rows=st.lists(st.tuples(words, words, words, words), min_size=1), width=st.integers(62, 200))
def test_no_cell_is_ever_cut_or_broken(rows: list[tuple[str, ...]], width: int) -> None:
    text = shown(table(*rows), width + 10)
    for cell in {cell for row in rows for cell in row}:
        assert cell in text


def test_pieces_are_broken_between_them_alone() -> None:
    lines = flowed([Text("one two"), Text("three four"), Text("five")], 20)
    assert [line.plain for line in lines] == ["one two · three four", "five"]


def test_prose_breaks_after_a_comma_so_that_a_figure_stays_with_its_unit() -> None:
    made = FittedTable([Column("version"), Column("what", prose=True)])
    made.add("preferences@demo", ", ".join(f"{n} misunderstandings" for n in range(101, 108)))
    text = shown(made, 60)
    for n in range(101, 108):
        assert f"{n} misunderstandings" in text


def test_a_pipe_without_a_width_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    out = io.StringIO()
    WideConsole(file=out).print("word " * 100)
    assert len(out.getvalue().splitlines()) == 1
    monkeypatch.setenv("COLUMNS", "40")
    out = io.StringIO()
    WideConsole(file=out).print("word " * 100)
    assert max(map(len, out.getvalue().splitlines())) <= 40
    assert re.search("word$", out.getvalue().splitlines()[0].rstrip())
