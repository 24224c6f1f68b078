"""What is to be told of a session by itself, before it is compared with others."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import orjson

from parrot_core.engines.types import Message
from parrot_core.evaluation.benchmark import load_benchmark
from parrot_core.ingest.clean import CleanSession, Messages, Rejection, check, settle
from parrot_core.ingest.contamination import MIN_TRIPLES, Benchmark
from parrot_core.ingest.language import Guess, LanguageDetector, session_language
from parrot_core.ingest.near_duplicates import Signatures
from parrot_core.ingest.rule_log import RuleLog
from parrot_core.ingest.shingles import Hashes, Shingler
from parrot_core.recipe import Ingest, SessionCheck


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known of a clean session before it is compared with others."""

    messages: bytes  # as JSON: they go to a file as they are
    turns: int
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
        """Load the benchmark if the recipe keeps it out.

        Args:
            settings: rules, checks, languages.
            questions: where the benchmark's questions are.
            detector: tells languages.
        """
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
        findings: Mapping[SessionCheck, str],
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
    ) -> Iterator[tuple[str | None, bytes | None, bytes | None]]:
        """Of each session: what it holds of the benchmark, and both signatures."""
        if self._settings.near_duplicates.similarity is None and self._benchmark is None:
            yield from ((None, None, None) for _ in sessions)
            return
        texts = [self._shingler.of_session(session.messages) for session in sessions]
        whole, opening = self._bands_of(sessions, texts)
        for session, text in zip(sessions, texts, strict=True):
            held = self._benchmark.found_in(session.messages, text) if self._benchmark else None
            yield held, next(whole), next(opening)

    def _bands_of(
        self, sessions: Sequence[CleanSession], texts: Sequence[Hashes]
    ) -> tuple[Iterator[bytes | None], Iterator[bytes | None]]:
        """Bands of sessions and of their opening queries."""
        if self._settings.near_duplicates.similarity is None:
            return repeat(None), repeat(None)
        openings = [self._shingler.of_query(one.messages[0]["content"]) for one in sessions]
        return _bands(texts, 1), _bands(openings, MIN_TRIPLES)


def _bands(texts: Sequence[Hashes], least: int) -> Iterator[bytes | None]:
    """The bands of each text as bytes; None of one with fewer shingles."""
    signatures = Signatures()
    for shingles in texts:
        if shingles.size >= least:
            signatures.add(shingles)
    rows = iter(signatures.bands())
    for shingles in texts:
        yield next(rows).tobytes() if shingles.size >= least else None


def _benchmark(settings: Ingest, questions: str, shingler: Shingler) -> Benchmark | None:
    least = settings.near_duplicates.benchmark
    if least is None:
        return None
    texts = (text for q in load_benchmark(questions).questions for text in q.turns)
    return Benchmark(texts, shingler, least)


def _refused_language(guess: Guess | None, kept: Sequence[str]) -> Rejection | None:
    if not kept or (guess and guess.code in kept):
        return None
    found = f"{guess.code} ({guess.confidence:.2f})" if guess else "no words outside code"
    return Rejection("language", f"found {found}, expected {', '.join(kept)}")


def _content_digest(messages: Sequence[Message]) -> bytes:
    """A hash that ignores case and spacing."""
    text = "\0".join(" ".join(m["content"].casefold().split()) for m in messages)
    return hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=16).digest()
