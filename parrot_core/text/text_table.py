"""A small table of text, for the terminal and for Markdown."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grid:
    """One table as text: a title, a header and rows."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        lines = [self.header, tuple("---" for _ in self.header), *self.rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"**{self.title}**\n\n{table}\n"
