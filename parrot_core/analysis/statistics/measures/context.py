"""Context-dependent queries, and what they depend by, over the turns of a session."""

from collections import Counter
from typing import ClassVar

from parrot_core.analysis.statistics.dependence import Kind, kind_of_dependence
from parrot_core.analysis.statistics.measures.measure import Measure, Ratio
from parrot_core.analysis.statistics.session import Session
from parrot_core.analysis.statistics.values import Curve, CurvePoint, Figure, Found

LAST_TURN = 15
"""Later turns share the last place of the curves."""


class ContextMeasure(Measure):
    """See ``description``."""

    name: ClassVar[str] = "context"
    description: ClassVar[str] = (
        "Queries of turn 2 or later in which the rules of `select` see a cue that they lean on "
        "the conversation. Anaphora: pronouns, demonstratives, definite references, comparisons. "
        "Ellipsis: what was said is left out, or only a continuation is asked for. The surest cue "
        "of a query counts. Languages without rules count as having none."
    )

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._per_session = Ratio()
        self._share: dict[str, Ratio] = {name: Ratio() for name in ("any", "anaphora", "ellipsis")}
        self._asked: Counter[int] = Counter()
        self._seen: Counter[tuple[int, Kind]] = Counter()

    def read(self, session: Session) -> list[Kind | None]:
        """Look for cues in its follow-up queries."""
        return [kind_of_dependence(session, turn) for turn in range(2, session.turns + 1)]

    def add(self, session: Session, read: list[Kind | None]) -> None:
        for turn, kind in enumerate(read, start=2):
            self._asked[min(turn, LAST_TURN)] += 1
            if kind is not None:
                self._seen[min(turn, LAST_TURN), kind] += 1
        dependent = sum(kind is not None for kind in read)
        self._per_session.add(dependent)
        self._share["any"].add(dependent, len(read))
        for name in ("anaphora", "ellipsis"):
            self._share[name].add(read.count(name), len(read))

    def found(self) -> Found:
        """Per session, as shares of the follow-up queries, and by turn."""
        title = "context-dependent queries a session (rules)"
        figures = (
            self._per_session.figure("context_dependent", title, self._seed),
            self._of("any", "context_dependent_share", "follow-ups that depend on context"),
            self._of("anaphora", "anaphora", "follow-ups with anaphora"),
            self._of("ellipsis", "ellipsis", "follow-ups with ellipsis"),
        )
        curves = (
            self._curve("context_by_turn", "context-dependent", ("anaphora", "ellipsis", "other")),
            self._curve("anaphora_by_turn", "anaphora", ("anaphora",)),
            self._curve("ellipsis_by_turn", "ellipsis", ("ellipsis",)),
        )
        return Found(figures=figures, curves=curves)

    def _of(self, key: str, name: str, title: str) -> Figure:
        return self._share[key].figure(name, title, self._seed, "follow-up queries", "share")

    def _curve(self, name: str, title: str, kinds: tuple[Kind, ...]) -> Curve:
        points = tuple(
            CurvePoint(x=turn, value=sum(self._seen[turn, kind] for kind in kinds) / asked, n=asked)
            for turn, asked in sorted(self._asked.items())
        )
        what = f"{title}, share of queries by turn ({LAST_TURN}: {LAST_TURN} or later)"
        return Curve(name=name, title=what, x_title="turn", unit="share", points=points)
