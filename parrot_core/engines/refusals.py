"""Tells a refusal that all requests meet from one that is a row's own."""

IN_A_ROW = 5
"""So many rows refused alike, with no answer in between, are worth a doubt."""

Signature = tuple[str | int | None, ...]


class RefusalWatch:
    """What an engine refused since it last answered. Lives on one event loop."""

    def __init__(self) -> None:
        self._rows: dict[Signature, set[str]] = {}
        self._answered = False

    def answered(self) -> None:
        """Note an answer: what was refused before it was refused for reasons of its own."""
        self._answered = True
        self._rows.clear()

    def doubtful(self, signature: Signature, row: str) -> bool:
        """Note a refused row; whether it may be that every other one would be refused, too."""
        rows = self._rows.setdefault(signature, set())
        rows.add(row)
        return not self._answered or len(rows) >= IN_A_ROW
