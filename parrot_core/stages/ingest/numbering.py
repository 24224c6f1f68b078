"""Whether ids that end in a number name parts of sessions, or count records.

ShareGPT's dumps cut long sessions into records ``X_0``, ``X_7`` …: the number is the place of the
part's first message. Other data numbers its records (``identity_0`` … ``identity_79``). The ids
look alike, so the messages decide: a later part repeats the last message of the part before, or
goes on where that ended. Where the messages of one id leave it open, all ids of the source count.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

from parrot_core.engines.types import Message

MOST_PARTS = 1000
"""More records of one base id are no parts: the longest session of the real dump has 89."""
MOST_UNPROVEN = 9
"""Most parts of a real session none of which repeats a message of another."""
_ROLES = {"user": "u", "assistant": "a"}


@dataclass(frozen=True, slots=True)
class Part:
    """What is known of a record without its messages."""

    session: str  # its id without the number
    first: int  # the number: the place of its first message, if it is a part
    roles: str  # a letter a message: u, a, or s for anything else
    hashes: list[int]  # of each message; 0: without text
    id: str
    source: str
    record_index: int
    order: int  # place of the record among all
    is_part: bool

    @property
    def own_id(self) -> str:
        """The id that the record itself carries."""
        return f"{self.session}_{self.first}" if self.is_part else self.session


class Step(Enum):
    """How a record goes on from those before it."""

    REPEATS = "repeats the end of the part before, and goes on"
    FOLLOWS = "begins where the part before ends"
    COPY = "holds nothing that the parts before don't hold"
    GAP = "messages are missing before it"
    SAME_SPEAKER = "begins with the speaker of the message before"
    CLASH = "holds another text at a place that an earlier part has"

    @property
    def joins(self) -> bool:
        """Whether the record can be added to what stands before it."""
        return self in (Step.REPEATS, Step.FOLLOWS, Step.COPY)


class Evidence(Enum):
    """What the records of one base id show, by themselves."""

    PROVEN = "a part repeats messages of another"
    LIKELY = "parts go on where others end, some after several turns"
    OPEN = "nothing speaks for parts or against"
    DOUBTFUL = (
        "a speaker is out of turn if the numbers are places, or a part has what another holds"
    )
    REFUTED = "the records contradict each other as parts"


def signs(messages: Sequence[Message]) -> tuple[str, list[int]]:
    """Roles and hashes of messages, as a :class:`Part` holds them; good in this process alone."""
    roles = "".join(_ROLES.get(message["role"], "s") for message in messages)
    texts = (message["content"].strip() for message in messages)
    return roles, [hash(text) if text else 0 for text in texts]


def in_order(parts: Iterable[Part]) -> list[Part]:
    """By place; of those that begin at one place the longest first."""
    return sorted(parts, key=lambda part: (part.first, -len(part.hashes), part.id))


def steps(parts: Sequence[Part]) -> list[Step]:
    """How each part but the first goes on; parts are in order."""
    found = []
    start, roles, hashes = parts[0].first, parts[0].roles, list(parts[0].hashes)
    before = parts[0]
    for part in parts[1:]:
        step = _step(start, roles, hashes, before, part)
        if step.joins:
            shared = start + len(hashes) - part.first
            roles += part.roles[shared:]
            hashes += part.hashes[shared:]
        else:
            start, roles, hashes = part.first, part.roles, list(part.hashes)
        before = part
        found.append(step)
    return found


def _step(start: int, roles: str, hashes: list[int], before: Part, part: Part) -> Step:
    offset = part.first - start
    shared = len(hashes) - offset
    if shared < 0:
        return Step.GAP
    again = hashes[offset : offset + len(part.hashes)]
    if again != part.hashes[: len(again)] or not part.roles.startswith(
        roles[offset:][: len(again)]
    ):
        return Step.CLASH
    if len(part.hashes) <= shared or part.first == before.first:
        return Step.COPY
    if any(again):
        return Step.REPEATS
    return Step.SAME_SPEAKER if roles[-1:] == part.roles[shared : shared + 1] else Step.FOLLOWS


def evidence(parts: Sequence[Part]) -> Evidence:
    """What the records of one base id, in order, show by themselves."""
    if not all(part.is_part for part in parts):
        return Evidence.REFUTED
    found = steps(parts)
    if Step.CLASH in found:
        return Evidence.REFUTED
    within = (
        step is Step.COPY and part.first > before.first and any(part.hashes)
        for step, before, part in zip(found, parts, parts[1:], strict=False)
    )
    if Step.REPEATS in found or any(within):
        return Evidence.PROVEN
    if any(map(_misplaced, parts)) or _shares_an_exchange(parts):
        return Evidence.DOUBTFUL
    if any(part.first % 2 and part.roles.startswith("a") for part in parts):
        return Evidence.LIKELY
    goes_on = Step.FOLLOWS in found and not {Step.GAP, Step.SAME_SPEAKER} & set(found)
    after_turns = any(len(part.hashes) > 2 for part in parts[:-1])
    return Evidence.LIKELY if goes_on and after_turns and parts[0].first == 0 else Evidence.OPEN


def _misplaced(part: Part) -> bool:
    """Whether a user speaks at an odd place, or an assistant at an even one: places begin at 0."""
    speaker = part.roles[:1]
    return part.first > 0 and speaker in ("u", "a") and (speaker == "a") != bool(part.first % 2)


def _shares_an_exchange(parts: Sequence[Part]) -> bool:
    """Whether two records hold the same query with the same answer, at different places."""
    seen: dict[tuple[int, int], int] = {}
    for part in parts:
        for place, pair in enumerate(pairwise(part.hashes)):
            asks = all(pair) and part.roles[place] == "u"
            if asks and seen.setdefault(pair, part.first + place) != part.first + place:
                return True
    return False


@dataclass(slots=True)
class SourceNumbering:
    """What all ids of one source show, base id by base id."""

    found: Counter[Evidence] = field(default_factory=Counter)

    def are_parts(self, shown: Evidence, records: int) -> bool:
        """Whether the records of a base id that shows this are parts of one session."""
        proven = self.found[Evidence.PROVEN]
        against = self.found[Evidence.REFUTED] + self.found[Evidence.DOUBTFUL]
        if shown in (Evidence.PROVEN, Evidence.REFUTED) or records > MOST_UNPROVEN:
            return shown is Evidence.PROVEN
        if shown is Evidence.LIKELY:
            return proven + self.found[Evidence.LIKELY] > against
        return proven > against
