"""The shape of a measure, and the figure that most of them make: a ratio over sessions."""

from array import array
from dataclasses import asdict
from typing import Any, ClassVar, Protocol

from parrot_core.analysis.statistics.session import Session
from parrot_core.analysis.statistics.values import Figure, Found, Unit
from parrot_core.estimates import ratio


class Measure(Protocol):
    """Sees every session once, keeps little, then says what it found.

    What takes long is done by ``read``, which other processes may do; ``add`` sees the sessions in
    their order.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    """What is measured, exactly, in a sentence or two; the page shows it."""

    def read(self, session: Session) -> Any:
        """What takes long to work out of a session; nothing else may come into it."""
        return None

    def add(self, session: Session, read: Any) -> None:
        """Take a session in, with what was read of it."""
        ...

    def found(self) -> Found:
        """Figures over all sessions so far."""
        ...


class Ratio:
    """Sum of numerators over sum of denominators, one pair a session, with its interval."""

    def __init__(self) -> None:
        self._above = array("d")
        self._below = array("d")

    def add(self, above: float, below: float = 1.0) -> None:
        """Take one session's pair in; with the default denominator it is a mean over sessions."""
        self._above.append(above)
        self._below.append(below)

    def figure(
        self, name: str, title: str, seed: int, of: str = "sessions", unit: Unit = ""
    ) -> Figure:
        """The figure; ``of`` names what the denominators count."""
        found = ratio((self._above, self._below), seed)
        return Figure(
            **asdict(found), name=name, title=title, n=int(sum(self._below)), of=of, unit=unit
        )
