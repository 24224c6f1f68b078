"""Queries that people labelled, or rewrote to stand alone, to train and measure `detect`.

Human rewrites are one JSON object a line: `dialogue`, `history` (texts, oldest first), `query`,
`rewrite`, and `changed` (whether they differ in more than case and punctuation). CANARD's release
has the same as `History` (after two titles), `Question` and `Rewrite`; GECOR's as the transcripts
of a dialogue and their `transcript_complete`. TREC CAsT is read as its repository has it.
"""

import hashlib
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from real_follow_ups import records

from parrot_core.context.labelled import Half, labelled_queries
from parrot_core.engines.types import Message

DATA = Path(__file__).with_name("context")
Part = Literal["train", "held out"]

_NOT_COMPARED = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A query with its label.

    Attributes:
        source: the corpus.
        part: whether a model may be trained on it; a dialogue is in one part whole.
        language: ``en`` or ``zh``.
        query: the user's text.
        history: the texts before it.
        depends: the label.
        kind: the kind of its cue or look-alike in our own set; ``rewrite``, ``unchanged`` or
            ``changed`` where people rewrote it.
    """

    source: str
    part: Part
    language: str
    query: str
    history: tuple[str, ...]
    depends: bool
    kind: str = ""

    @property
    def messages(self) -> list[Message]:
        """The history as messages, the last of which is the assistant's."""
        last = len(self.history) - 1
        return [
            {"role": "user" if (last - at) % 2 else "assistant", "content": text}
            for at, text in enumerate(self.history)
        ]


def rewritten(path: Path, source: str, language: str = "en") -> Iterator[Labelled]:
    """Queries that people rewrote: the changed ones depend; their rewrites and the others do not.

    The part is by the dialogue's digest; a file without dialogues is held out whole.
    """
    for line in path.read_text().splitlines():
        pair = json.loads(line)
        part = part_of_key(str(pair["dialogue"])) if "dialogue" in pair else "held out"
        yield from _pair(
            source, part, language, tuple(pair["history"]), pair["query"], pair["rewrite"]
        )


def cast(folder: Path) -> Iterator[Labelled]:
    """The topics of TREC CAsT 2019 to 2021, for training alone."""
    for turns in _cast_topics(folder):
        history: list[str] = []
        for query, rewrite, answer in turns:
            if history:
                yield from _pair("cast", "train", "en", tuple(history), query, rewrite)
            history += (query, answer)
        if len(history) > 2:
            yield Labelled("cast", "train", "en", turns[0][0], tuple(history[1:]), False, "opening")


def own() -> Iterator[Labelled]:
    """The queries written and labelled for the project; the half `dev` is for training."""
    halves: tuple[tuple[Half, Part], ...] = (("dev", "train"), ("test", "held out"))
    for half, part in halves:
        for one in labelled_queries(half):
            history = tuple(message["content"] for message in one.history)
            yield Labelled("own", part, one.language, one.query, history, one.depends, one.kind)


def written(histories: Sequence[tuple[str, ...]], seed: int) -> Iterator[Labelled]:
    """Further queries written for training, each after a history that may name its words."""
    choose = random.Random(seed)
    for label in _lines("written.jsonl"):
        history = list(choose.choice(histories))
        words = re.findall(r"[A-Za-z]{4,}", label["query"])
        named = choose.sample(words, min(len(words), choose.choice((0, 0, 1, 2))))
        history[-1] = " ".join((history[-1], *named))
        yield Labelled("written", "train", "en", label["query"], tuple(history), label["depends"])


def sharegpt(labels: dict[tuple[str, int], bool], source: str, part: Part) -> Iterator[Labelled]:
    """Messages of ShareGPT's package by record and place."""
    known = {record for record, _ in labels}
    done: set[str] = set()
    for record, messages in records():
        if record in done or record not in known:
            continue
        done.add(record)
        texts = tuple(message["content"] for message in messages)
        for place, text in enumerate(texts):
            if (record, place) in labels:
                depends = labels[record, place]
                yield Labelled(source, part, "en", text, texts[:place], depends)


def openings() -> Iterator[tuple[str, tuple[str, ...]]]:
    """English first messages of ShareGPT's sessions, each once, with what came after them."""
    seen: set[str] = set()
    for record, messages in records():
        first = messages[0] if messages else None
        if first is None or first["role"] != "user" or not record.endswith("_0"):
            continue
        text = first["content"]
        if text and text not in seen and sum(map(str.isascii, text)) >= 0.95 * len(text):
            seen.add(text)
            yield text, tuple(message["content"] for message in messages[1:])


def part_of_key(key: str) -> Part:
    """``train`` for half of all keys, by their digest."""
    return "train" if int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % 2 == 0 else "held out"


def _pair(
    source: str, part: Part, language: str, history: tuple[str, ...], query: str, rewrite: str
) -> Iterator[Labelled]:
    changed = _compared(query) != _compared(rewrite)
    kind = "changed" if changed else "unchanged"
    yield Labelled(source, part, language, query, history, changed, kind)
    if changed:
        yield Labelled(source, part, language, rewrite, history, False, "rewrite")


def _compared(text: str) -> str:
    return _NOT_COMPARED.sub("", text.lower())


def _lines(name: str) -> Iterator[dict[str, Any]]:
    for line in (DATA / name).read_text().splitlines():
        yield json.loads(line)


def _cast_topics(folder: Path) -> Iterator[list[tuple[str, str, str]]]:
    evaluation = folder / "2019/data/evaluation"
    resolved = dict(
        line.split("\t")
        for line in (evaluation / "evaluation_topics_annotated_resolved_v1.0.tsv")
        .read_text()
        .splitlines()
    )
    for topic in json.loads((evaluation / "evaluation_topics_v1.0.json").read_text()):
        number = topic["number"]
        yield [
            (turn["raw_utterance"], resolved[f"{number}_{turn['number']}"], "")
            for turn in topic["turn"]
        ]
    for year in (2020, 2021):
        path = folder / f"{year}/{year}_manual_evaluation_topics_v1.0.json"
        for topic in json.loads(path.read_text()):
            yield [
                (
                    turn["raw_utterance"],
                    turn["manual_rewritten_utterance"],
                    turn.get("passage", ""),
                )
                for turn in topic["turn"]
            ]
