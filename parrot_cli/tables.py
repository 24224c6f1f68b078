"""Tables that cut nothing: too wide for the terminal, a row becomes lines of names and values."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

GAP = 2
INDENT = "    "
NARROWEST_PROSE = 24


@dataclass(frozen=True, slots=True)
class Column:
    """One column: figures stand right, prose may be wrapped between words."""

    name: str
    right: bool = False
    prose: bool = False


def figures(*names: str) -> list[Column]:
    return [Column(name, right=True) for name in names]


@dataclass(slots=True)
class FittedTable:
    """Rows under headings while they fit; else each row stacked, every cell with its heading."""

    columns: Sequence[Column]
    rows: list[tuple[tuple[Text, ...], str]] = field(default_factory=list)

    def add(self, *cells: str | Text, style: str = "") -> None:
        """Add a row; cells that are left out at its end are empty."""
        texts = [cell if isinstance(cell, Text) else Text(cell) for cell in cells]
        texts += [Text("")] * (len(self.columns) - len(texts))
        self.rows.append((tuple(texts), style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = self._shown()
        widths = {place: self._width(place) for place in shown}
        room = options.max_width - GAP * (len(shown) - 1)
        if sum(widths.values()) <= room:
            yield self._table(shown, widths)
            return
        prose = [place for place in shown if self.columns[place].prose]
        rest = sum(width for place, width in widths.items() if place not in prose)
        for place in prose:
            widths[place] = (room - rest) // len(prose)
        if prose and all(widths[p] >= max(NARROWEST_PROSE, self._longest_word(p)) for p in prose):
            yield self._table(shown, widths)
            return
        yield from self._stacked(shown, options.max_width)

    def _shown(self) -> list[int]:
        return [
            p for p in range(len(self.columns)) if any(cells[p].plain for cells, _ in self.rows)
        ]

    def _width(self, place: int) -> int:
        cells = (row[place].cell_len for row, _ in self.rows)
        return max(Text(self.columns[place].name).cell_len, max(cells, default=0))

    def _longest_word(self, place: int) -> int:
        words = (Text(word).cell_len for row, _ in self.rows for word in row[place].plain.split())
        return max(words, default=0)

    def _table(self, shown: Sequence[int], widths: dict[int, int]) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, GAP, 0, 0))
        for place in shown:
            column = self.columns[place]
            table.add_column(
                Text(column.name),
                justify="right" if column.right else "left",
                no_wrap=not column.prose,
                width=widths[place],
            )
        for cells, style in self.rows:
            fitted = (
                by_clauses(cells[place], widths[place])
                if self.columns[place].prose
                else cells[place]
                for place in shown
            )
            table.add_row(*fitted, style=style)
        return table

    def _stacked(self, shown: Sequence[int], width: int) -> Iterable[Text]:
        for cells, style in self.rows:
            first = cells[shown[0]]
            if first.plain:
                yield Text.assemble(first, style=style or "bold")
            named = [
                Text.assemble((f"{self.columns[p].name} ", "dim"), cells[p], style=style)
                for p in shown[1:]
                if cells[p].plain
            ]
            yield from flowed(named, width, INDENT)


def by_clauses(text: Text, width: int) -> Text:
    """Prose broken after a comma or the like where it can be: a figure stays with its unit."""
    if text.cell_len <= width:
        return text
    clauses = [Text(clause, text.style) for clause in re.split(r"(?<=[,;:.]) ", text.plain)]
    return Text("\n").join(flowed(clauses, width, between=" "))


def flowed(
    pieces: Sequence[Text], width: int, indent: str = "", between: str = " · "
) -> list[Text]:
    """Pieces one after the other, broken between them alone wherever one fits into a line."""
    lines: list[Text] = []
    for piece in pieces:
        if lines and lines[-1].cell_len + len(between) + piece.cell_len <= width:
            lines[-1].append(between, "dim").append_text(piece)
        else:
            lines.append(Text(indent).append_text(piece))
    return lines
