"""Topic shifts: follow-up queries that leave what the session has talked about so far."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from parrot_core.analysis.statistics.dependence import kind_of_dependence
from parrot_core.analysis.statistics.measures.context import LAST_TURN
from parrot_core.analysis.statistics.measures.measure import Measure, Ratio
from parrot_core.analysis.statistics.sampling import Draw
from parrot_core.analysis.statistics.session import Session
from parrot_core.analysis.statistics.values import Curve, CurvePoint, Found
from parrot_core.text.similarity import tokens

SESSIONS = 2000
MESSAGE_CHARS = 1500
"""How much of a message is compared."""
FAR = 0.025
"""95 % of real follow-ups lie below it to another session (docs/explanation/statistics.md)."""

Terms = Counter[str]
Weights = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Talk:
    """A session as terms."""

    queries: tuple[Terms, ...]
    responses: tuple[Terms, ...]
    leans: tuple[bool, ...]  # whether a cue is seen in a query


class TopicShifts(Measure):
    """See ``description``."""

    name: ClassVar[str] = "topics"
    description: ClassVar[str] = (
        "A follow-up query shifts the topic when the rules see no cue that it leans on the "
        f"conversation, and the cosine of its TF-IDF vector to everything said before is below "
        f"{FAR} (first {MESSAGE_CHARS:,} characters of a message; document frequencies over "
        f"{SESSIONS:,} drawn sessions). Drift, by turn: the share of follow-ups that do, and how "
        "near to the first query and its answer they still are, by the same cosine."
    )

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._drawn: Draw[Session] = Draw(SESSIONS, seed, "topics")

    def add(self, session: Session, read: None) -> None:
        """Keep the beginnings of its messages, if it is drawn."""
        self._drawn.offer(
            session.id,
            Session(
                session.id,
                session.language,
                tuple(query[:MESSAGE_CHARS] for query in session.queries),
                tuple(response[:MESSAGE_CHARS] for response in session.responses),
            ),
        )

    def found(self) -> Found:
        """Shifts a session, and as a share of the follow-up queries."""
        talks = [talk_of(session) for session in self._drawn.items()]
        weights = inverse_frequencies(talks)
        per_session, share = Ratio(), Ratio()
        asked: Counter[int] = Counter()
        shifted: Counter[int] = Counter()
        opening: defaultdict[int, float] = defaultdict(float)
        for talk in talks:
            near = list(nearness(talk.queries, talk.responses, weights))
            shifts = [near[n - 1] < FAR and not talk.leans[n] for n in range(1, len(talk.queries))]
            per_session.add(sum(shifts))
            share.add(sum(shifts), len(shifts))
            began = talk.queries[0] + talk.responses[0] if talk.queries else Counter()
            for turn, (query, shift) in enumerate(zip(talk.queries[1:], shifts, strict=True), 2):
                place = min(turn, LAST_TURN)
                asked[place] += 1
                shifted[place] += shift
                opening[place] += _cosine(query, began, weights)
        return Found(
            figures=(
                per_session.figure("topic_shifts", "topic shifts a session", self._seed),
                share.figure(
                    "topic_shift_share",
                    "follow-ups that shift the topic",
                    self._seed,
                    "follow-up queries",
                    "share",
                ),
            ),
            curves=(
                _curve("topic_shifts_by_turn", "follow-ups that shift the topic", shifted, asked),
                _curve("opening_by_turn", "cosine of follow-ups to the first turn", opening, asked),
            ),
        )


def _curve(name: str, what: str, sums: Mapping[int, float], asked: Mapping[int, int]) -> Curve:
    points = tuple(
        CurvePoint(x=turn, value=sums[turn] / n, n=n) for turn, n in sorted(asked.items())
    )
    title = f"{what}, by turn ({LAST_TURN}: {LAST_TURN} or later)"
    return Curve(name=name, title=title, x_title="turn", unit="share", points=points)


def nearness(
    queries: Iterable[Terms], responses: Iterable[Terms], weights: Weights
) -> Iterable[float]:
    """Cosine of each follow-up query to everything said before it."""
    said: Terms = Counter()
    for turn, (query, response) in enumerate(zip(queries, responses, strict=True)):
        if turn:
            yield _cosine(query, said, weights)
        said.update(query)
        said.update(response)


def talk_of(session: Session) -> Talk:
    """Count the terms of its messages, and look for cues in its queries."""
    return Talk(
        tuple(Counter(tokens(query)) for query in session.queries),
        tuple(Counter(tokens(response)) for response in session.responses),
        tuple(kind_of_dependence(session, turn + 1) is not None for turn in range(session.turns)),
    )


def inverse_frequencies(talks: Sequence[Talk]) -> dict[str, float]:
    """log((N + 1) / df) of each term over sessions: near zero for what every session says."""
    frequency: Counter[str] = Counter()
    for talk in talks:
        frequency.update(set().union(*talk.queries, *talk.responses))
    return {term: math.log((len(talks) + 1) / n) for term, n in frequency.items()}


def _cosine(query: Terms, said: Terms, weights: Weights) -> float:
    """Cosine of two TF-IDF vectors with logarithmic term frequencies."""
    ours = _vector(query, weights)
    theirs = _vector(said, weights)
    norm = math.hypot(*ours.values()) * math.hypot(*theirs.values())
    return sum(w * theirs.get(term, 0.0) for term, w in ours.items()) / norm if norm else 0.0


def _vector(terms: Terms, weights: Weights) -> dict[str, float]:
    return {
        term: (1 + math.log(count)) * weights[term]
        for term, count in terms.items()
        if term in weights
    }
