"""Checks a session on its own, before it is compared with others."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import orjson

from parrot_core.benchmarks.benchmark import load_benchmark
from parrot_core.engines.types import Message
from parrot_core.recipe import Ingest
from parrot_core.stages.ingest.clean import CleanSession, Messages, Rejection, check, settle
from parrot_core.stages.ingest.contamination import MIN_TRIPLES, BenchmarkQuestions
from parrot_core.stages.ingest.language import Guess, LanguageDetector, session_language
from parrot_core.stages.ingest.near_duplicates import signatures
from parrot_core.stages.ingest.rule_log import RuleLog
from parrot_core.stages.ingest.shingles import Hashes, Shingler

_SPACE = ord(" ")
_LOWER_AND_SPACE = bytes(
    _SPACE if chr(code).isspace() and code < 128 else ord(chr(code).lower()) if code < 128 else code
    for code in range(256)
)
"""Bytes of UTF-8: ASCII in lower case, its white space as Python knows it as spaces."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known of a clean session before it is compared with others."""

    messages: bytes  # as JSON: they go to a file as they are
    turns: int
    system: str | None
    mended: tuple[str, ...]  # session rules that changed something
    flags: tuple[str, ...]
    digest: bytes  # of the messages
    benchmark: str | None  # which of the benchmark's questions it holds, in a few words
    signature: bytes | None  # of its text; None: it has no words
    opening: bytes | None  # of its opening query; None: that is too short to tell


@dataclass(frozen=True, slots=True)
class Outcome:
    """A session is refused by itself or goes on to be compared."""

    kept: Examined | Rejection
    looked: bool  # whether its language was looked for
    guess: Guess | None = None


class Examiner:
    """What ``assemble`` does with each batch of sessions."""

    def __init__(self, settings: Ingest, questions: str, detector: LanguageDetector) -> None:
        """Load the benchmark if the recipe keeps it out."""
        self._settings = settings
        self._detector = detector
        self._shingler = Shingler()
        self._benchmark = _benchmark(settings, questions, self._shingler)

    def __call__(self, sessions: Sequence[tuple[str, Messages]], log: RuleLog) -> list[Outcome]:
        """Settle and look at some sessions, each with its id; ``log`` is told what was changed."""
        settled = [settle(messages, self._settings, log, id) for id, messages in sessions]
        clean = [one for one in settled if isinstance(one, CleanSession)]
        found = check([session.messages for session in clean], self._settings)
        looked_at = zip(clean, found, self._signed(clean), strict=True)
        outcomes: list[Outcome] = []
        for (id, _), outcome in zip(sessions, settled, strict=True):
            if isinstance(outcome, Rejection):
                outcomes.append(Outcome(outcome, looked=False))
            else:
                session, findings, signed = next(looked_at)
                outcomes.append(self._judged(id, session, findings, signed, log))
        return outcomes

    def _judged(
        self,
        id: str,
        session: CleanSession,
        findings: Mapping[str, str],
        signed: tuple[str | None, bytes | None, bytes | None],
        log: RuleLog,
    ) -> Outcome:
        guess = session_language(session.messages, self._detector)
        rejection = _refused_language(guess, self._settings.languages)
        for name, detail in findings.items():
            if self._settings.checks[name] == "reject":
                rejection = rejection or Rejection(name, detail)
            else:
                log.found(name, id, detail)
        benchmark, signature, opening = signed
        examined = Examined(
            messages=orjson.dumps(session.messages),
            turns=session.turns,
            system=session.system,
            mended=session.mended,
            flags=tuple(findings),
            digest=_content_digest(session.messages),
            benchmark=benchmark,
            signature=signature,
            opening=opening,
        )
        return Outcome(rejection or examined, looked=True, guess=guess)

    def _signed(
        self, sessions: Sequence[CleanSession]
    ) -> Iterable[tuple[str | None, bytes | None, bytes | None]]:
        """Of each session: what it holds of the benchmark, and both signatures."""
        compared = self._settings.near_duplicates.similarity is not None
        if not compared and self._benchmark is None:
            return repeat((None, None, None), len(sessions))
        shingled = self._shingler.of_each([session.messages for session in sessions])
        held: Iterable[str | None] = repeat(None)
        whole: Iterable[bytes | None] = repeat(None)
        opening: Iterable[bytes | None] = repeat(None)
        if self._benchmark is not None:
            find = self._benchmark.found_in
            held = [find(s.messages, text) for s, (text, _) in zip(sessions, shingled, strict=True)]
        if compared:
            whole = _bands([text for text, _ in shingled], 1)
            opening = _bands([query for _, query in shingled], MIN_TRIPLES)
        return zip(held, whole, opening)  # noqa: B905  some may be repeated for ever


def _bands(texts: Sequence[Hashes], least: int) -> list[bytes | None]:
    """The bands of each text as bytes; None of one with fewer shingles."""
    bands = iter(signatures([shingles for shingles in texts if shingles.size >= least]))
    return [next(bands).tobytes() if shingles.size >= least else None for shingles in texts]


def _benchmark(settings: Ingest, questions: str, shingler: Shingler) -> BenchmarkQuestions | None:
    least = settings.near_duplicates.benchmark
    if least is None:
        return None
    texts = (text for q in load_benchmark(questions).questions for text in q.turns)
    return BenchmarkQuestions(texts, shingler, least)


def _refused_language(guess: Guess | None, kept: Sequence[str]) -> Rejection | None:
    if not kept or (guess and guess.code in kept):
        return None
    found = f"{guess.code} ({guess.confidence:.2f})" if guess else "no words outside code"
    return Rejection("language", f"found {found}, expected {', '.join(kept)}")


def _content_digest(messages: Sequence[Message]) -> bytes:
    """A hash that ignores case and spacing."""
    texts = (message["content"] for message in messages)
    plain = b"\0".join(
        text.strip().encode()
        if text.isascii()
        else " ".join(text.casefold().split()).encode("utf-8", "surrogatepass")
        for text in texts
    )
    # ASCII, which is most of it, is done here by the session, not by the word: twice as fast.
    characters = np.frombuffer(plain.translate(_LOWER_AND_SPACE), np.uint8)
    spaces = characters == _SPACE
    stays = np.ones(characters.size, dtype=np.bool_)
    np.logical_not(spaces[1:] & spaces[:-1], out=stays[1:])
    return hashlib.blake2b(characters[stays].tobytes(), digest_size=16).digest()
