"""One row of any dataset, laid out for reading."""

import json
from collections.abc import Sequence
from dataclasses import replace

from dashboard.chat import WayOfReading, bubble, chat, long_text, pieces
from dashboard.result_set import VersionPart
from dashboard.site import Site
from dashboard.widgets import block, body, chip, facts, heading, line
from dashboard.word_difference import marked_differences
from dashboard.words import in_words
from parrot_core.browse.index import LISTS, TEXTS
from parrot_core.lake.row_lookup import Row
from parrot_core.stages.reasons import REASONS
from parrot_core.text.sanitise import CLIP

NOT_FACTS = TEXTS | {"id", "source_ids", "baseline_answer"}
"""What the page shows elsewhere, or in full."""

STRATEGIES = {
    "neglect": "ignores the conversation",
    "hallucination": "answers a guess at what was meant",
    "misunderstanding": "answers about another passage",
    "wrong_referent": "answers about something else in the conversation",
    "on_policy": "the model's own answer, about something else than was meant",
}
EVIDENCE = {"hallucination": "the guess", "misunderstanding": "the passage"}


def row_view(row: Row, siblings: Sequence[Row] = (), reading: WayOfReading | None = None) -> None:
    """Show a row; ``siblings`` are the pairs of the same query, with itself."""
    how = replace(reading or WayOfReading(), language=row.get("language"))
    if "original" in row:
        _reject(row, how)
    elif "chosen" in row:
        _pairs(row, siblings or [row], how)
    elif "messages" in row:
        _system(row)
        chat(row["messages"], row.get("provenance"), how)
    elif "winner" in row:
        _comparison(row)
    elif "judge_model" in row:
        _judgment(row)
    elif "history" in row:
        _context_query(row, how)
    else:
        _system(row)
        bubble("user", str(row.get("query") or ""), "", query=how.query)


def _system(row: Row) -> None:
    """The system prompt that a conversation or a seed had, where it is no message."""
    if row.get("system"):
        with block("talk", "ol"):
            bubble("system", str(row["system"]), "")


def row_facts(row: Row) -> None:
    plain = {
        name: value
        for name, value in row.items()
        if name not in NOT_FACTS and value is not None and not isinstance(value, list | dict)
    }
    plain |= {name: ", ".join(row[name]) for name in sorted(LISTS) if row.get(name)}
    facts({in_words(name): value for name, value in plain.items() if len(str(value)) <= 160})


def siblings_of(site: Site, place: VersionPart, row: Row) -> list[Row]:
    """All pairs of the query that a pair is about."""
    if "chosen" not in row or ":" not in row["id"]:
        return []
    index, lookup = site.version_cache.index(place), site.version_cache.lookup(place)
    return lookup.read(list(index.beginning(row["id"].rsplit(":", 1)[0] + ":"))[:12])


def _pairs(row: Row, pairs: Sequence[Row], how: WayOfReading) -> None:
    """The query, what was said before it folded; then the chosen answer beside each rejected."""
    history = max(0, len(row["prompt"]) - 1)
    chat(row["prompt"], None, replace(how, folded=history))
    chosen = "\n\n".join(message["content"] for message in row["chosen"])
    with block("versus"):
        with block("chosen verdict"):
            with block("row"):
                chip("done", "chosen")
            long_text(chosen, query=how.query)
        with block("rejects"):
            for pair in pairs:
                _rejected(pair, chosen)


def _rejected(pair: Row, chosen: str) -> None:
    with block("rejected verdict"):
        with block("row"):
            chip("failed", str(pair["strategy"]))
            line(STRATEGIES.get(pair["strategy"], ""), "soft small")
        if pair.get("evidence"):
            with block("evidence"):
                named = EVIDENCE.get(pair["strategy"], "what was meant")
                line(f"{named}, by {pair.get('evidence_by') or 'the writer'}", "soft small")
                body(pair["evidence"], limit=1500)
        for message in pair["rejected"]:
            content = message["content"]
            if len(content) > CLIP:
                long_text(content)
            else:
                pieces(marked_differences(content, chosen))


def _context_query(row: Row, how: WayOfReading) -> None:
    answer = {"role": "assistant", "content": row["response"] or ""}
    query = {"role": "user", "content": row["query"]}
    chat([*row["history"], query, answer], None, how)
    with block("evidence"):
        line(f"rule: {row['rule']} · judge says dependent: {row['judge_verdict']}", "soft small")
        body(row.get("judge_text") or "", limit=1500)


def _judgment(row: Row) -> None:
    with block("talk", "ol"):
        bubble("user", row["query"] or "", f"turn {row['turn']}")
        bubble("assistant", row["answer"] or "", str(row["subject"]))
    with block("evidence"):
        line(f"score {row['score']} by {row['judge_model']}", "soft small", limit=300)
        body(row.get("judge_text") or "")


def _comparison(row: Row) -> None:
    with block("talk", "ol"):
        bubble("user", row["query"] or "", f"turn {row['turn']}")
    with block("two"):
        for side, column in (("subject", "answer"), ("baseline", "baseline_answer")):
            won = row["winner"] == side
            with block("chosen verdict" if won else "other verdict"):
                with block("row"):
                    lost = "tie" if row["winner"] == "tie" else "not preferred"
                    chip("done" if won else "waiting", "preferred" if won else lost)
                    line(row[side], "role", limit=120)
                long_text(row[column] or "")
    shown = (("subject", "shown_first"), ("baseline", "shown_second"))
    for (first, column), text in zip(shown, row["judge_texts"] or ("", ""), strict=False):
        with block("evidence"):
            verdict = row.get(row[column], row[column])
            said = f"{row[first]} shown first: {verdict}, by {row['judge_model']}"
            line(said, "soft small", limit=300)
            body(text or "", limit=3000)


def _reject(row: Row, how: WayOfReading) -> None:
    with block("note alarm"):
        line(row["reason"], "title")
        line(REASONS.get(row["reason"], ""), "soft")
        body(row.get("detail") or "", limit=2000)
    heading("What was put aside", 2)
    try:
        original = json.loads(row["original"])
    except ValueError:
        original = None
    messages = original.get("messages") if isinstance(original, dict) else None
    if isinstance(messages, list) and _is_conversation(messages):
        chat(messages, None, how)
    else:
        shown = (
            row["original"]
            if original is None
            else json.dumps(original, indent=1, ensure_ascii=False)
        )
        long_text(shown)


def _is_conversation(messages: list[object]) -> bool:
    return all(
        isinstance(m, dict) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str)
        for m in messages
    )
