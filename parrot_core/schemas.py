"""The Arrow schema of every dataset, in one place, versioned.

``messages`` and ``prompt``/``chosen``/``rejected`` are lists of ``{role, content}``, so that TRL
and ``datasets`` train on a version as it is. A *turn* is one user query with its response.
Every row has an ``id``, unique in its version, and ``source_ids``: the ids of the rows it came
from in the stage's input, so that a preference pair leads back to its ShareGPT record.
"""

from dataclasses import dataclass

import pyarrow as pa

MESSAGE = pa.struct(
    [
        pa.field("role", pa.string(), nullable=False),
        pa.field("content", pa.string(), nullable=False),
    ]
)
MESSAGES = pa.list_(MESSAGE)

PROVENANCE = pa.list_(
    pa.struct(
        [
            ("engine", pa.string()),  # name in the recipe; null for a message a human wrote
            ("model", pa.string()),
            ("request_key", pa.string()),  # SHA-256 of the canonical request, see engines/journal
            ("finish_reason", pa.string()),
            ("prompt_tokens", pa.int64()),
            ("completion_tokens", pa.int64()),
        ]
    )
)

_IDS = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("source_ids", pa.list_(pa.string()), nullable=False),
    pa.field("language", pa.string()),
]


@dataclass(frozen=True, slots=True)
class DatasetSchema:
    """Name, version and Arrow schema of a dataset; the version rises with every change."""

    name: str
    version: int
    arrow: pa.Schema


def _schema(
    name: str, version: int, fields: list[pa.Field | tuple[str, pa.DataType]]
) -> DatasetSchema:
    return DatasetSchema(name, version, pa.schema([*_IDS, *fields]))


RECORDS = _schema(
    "records",
    1,
    [
        ("source", pa.string()),
        ("record_index", pa.int64()),
        ("session", pa.string()),  # the id that all parts of a split session share
        ("part", pa.bool_()),  # whether the record says that it's a part of a session
        ("first_message", pa.int64()),  # place of its first message in the session
        ("messages", MESSAGES),  # as many as the record has, also system's and empty ones
    ],
)
CONVERSATIONS = _schema(
    "conversations",
    4,
    [
        ("split", pa.string()),  # train | seed | heldout
        ("source", pa.string()),
        ("record_index", pa.int64()),
        ("system", pa.string()),  # the system prompt it began with; it is no message
        ("messages", MESSAGES),
        ("n_turns", pa.int32()),
        ("opens_session", pa.bool_()),  # false for a later part of a split session
        ("ends_session", pa.bool_()),  # false where more was said, as far as can be known
        ("group", pa.string()),  # sessions that are nearly the same share it, and so their split
        ("flags", pa.list_(pa.string())),  # checks of the recipe that found something
    ],
)
SEEDS = _schema(
    "seeds",
    3,
    [
        ("query", pa.string()),
        ("system", pa.string()),  # a system prompt of its own; null where there is none
        ("topic", pa.string()),  # its commonest words; null where the recipe asked for no topics
    ],
)

_DIALOGUE: list[pa.Field | tuple[str, pa.DataType]] = [
    ("messages", MESSAGES),
    ("provenance", PROVENANCE),  # one entry a message
    ("thinking", pa.list_(pa.string())),  # one entry a message: what its model thought before it
    ("n_turns", pa.int32()),
    ("end_reason", pa.string()),  # why the session ended, see synthesis.converse.Dialogue
    ("topic", pa.string()),  # of its seed
]
DIALOGUES = _schema("dialogues", 3, _DIALOGUE)
PARROT = _schema("parrot", 3, _DIALOGUE)

CONTEXT_QUERIES = _schema(
    "context-queries",
    2,
    [
        ("turn", pa.int32()),  # 1 is the opening query, so always ≥ 2 here
        ("history", MESSAGES),
        ("query", pa.string()),
        ("response", pa.string()),
        ("response_finish_reason", pa.string()),  # null where nobody generated it
        ("rule", pa.string()),  # the kind of its surest cue
        ("judge_verdict", pa.bool_()),  # null when no judge was asked
        ("judge_text", pa.string()),
    ],
)
PREFERENCES = _schema(
    "preferences",
    5,
    [
        ("strategy", pa.string()),  # a file in stages/capo/strategies
        ("turn", pa.int32()),
        ("prompt", MESSAGES),
        ("chosen", MESSAGES),
        ("rejected", MESSAGES),
        ("chosen_finish_reason", pa.string()),  # `length`: cut, so that its end is no end
        ("rejected_finish_reason", pa.string()),
        ("evidence", pa.string()),  # the guess, the passage, or one referent → the other
        ("evidence_by", pa.string()),  # who chose it: the writer, or the seed
        ("prompt_set", pa.string()),  # version of the instructions that wrote the negative
        ("model", pa.string()),
        ("request_key", pa.string()),
        ("judge_texts", pa.list_(pa.string())),  # why the chosen one is better; null if not asked
        ("history_gain", pa.float64()),  # of the chosen answer, nats a token; null if not measured
        ("margin_gain", pa.float64()),  # what the history adds to its margin over the rejected one
        ("placebo", pa.string()),  # a second answer after the same history: right as well
    ],
)
JUDGMENTS = _schema(
    "judgments",
    3,
    [
        ("subject", pa.string()),
        ("category", pa.string()),
        ("turn", pa.int32()),
        ("repeat", pa.int32()),  # which holding of the session, counted from 1
        ("query", pa.string()),
        ("answer", pa.string()),
        ("truncated", pa.bool_()),  # whether the answer was cut at the limit of tokens
        ("score", pa.float64()),  # 1–10
        ("judge_text", pa.string()),
        ("judge_model", pa.string()),
    ],
)
COMPARISONS = _schema(
    "comparisons",
    1,
    [
        ("subject", pa.string()),
        ("baseline", pa.string()),
        ("category", pa.string()),
        ("turn", pa.int32()),
        ("query", pa.string()),
        ("answer", pa.string()),
        ("baseline_answer", pa.string()),
        ("winner", pa.string()),  # subject | baseline | tie, over both orders
        ("shown_first", pa.string()),  # the winner when the subject was shown first
        ("shown_second", pa.string()),  # and when it was shown second
        ("judge_texts", pa.list_(pa.string())),  # in these two orders
        ("judge_model", pa.string()),
    ],
)

DATASETS: dict[str, DatasetSchema] = {
    schema.name: schema
    for schema in (
        RECORDS,
        CONVERSATIONS,
        SEEDS,
        DIALOGUES,
        PARROT,
        CONTEXT_QUERIES,
        PREFERENCES,
        JUDGMENTS,
        COMPARISONS,
    )
}

REJECTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source_ids", pa.list_(pa.string()), nullable=False),
        pa.field("reason", pa.string(), nullable=False),  # from the closed list below
        ("detail", pa.string()),
        pa.field("original", pa.string(), nullable=False),  # the rejected row, as JSON
    ]
)

REASONS: dict[str, str] = {
    # ingest
    "unreadable_file": "a file of a source that can't be read, whole",
    "malformed_record": "not an object with an id and a list of messages",
    "no_turns": "a record without any message",
    "language": "a language that the recipe doesn't keep",
    "duplicate": "the same content as another row",
    "near_duplicate": "nearly the same content as another row that is kept",
    "contaminated": "a query that is a question of the benchmark, or holds one",
    # seeds
    "query_too_short": "the opening query is shorter than the recipe's minimum",
    "query_too_long": "the opening query is longer than the recipe's maximum",
    "leans_on_unseen": "the opening query leans on something that isn't in it",
    # synthesize
    "ended_too_early": "the session ended before the recipe's minimum of turns",
    "context_full": "the conversation no longer fits the engine's context",
    "content_filter": "the provider refused the content",
    "request_refused": "the provider refused the request for good",
    "provider_error": "the provider kept failing at this request and answered others",
    "empty_response": "the engine wrote nothing",
    "truncated": "an answer or a query was cut at the limit of tokens",
    "control_token": "a text holds a control token of a chat template",
    # filter
    "flagged": "a reviewer flagged the session",
    # select
    "self_contained": "no cue that the query depends on its context",
    "judge_disagreed": "the judge says that the query stands alone",
    "over_limit": "more than the recipe asked for",
    # capo
    "chosen_unusable": "the chosen answer is empty, cut, refuses, asks back or only repeats",
    "chosen_unconfirmed": "the answer to the completed query says something else",
    "not_dependent": "completed from its history the query stays as it is",
    "evidence_unreadable": "the writer's guess or choice of a passage can't be read",
    "evidence_fits": "what the negative would be about may be what was meant",
    "no_other_matter": "the history has nothing else that the negative could be about",
    "evidence_ignored": "the negative says what the chosen answer says, nothing of its evidence",
    "negative_passes": "the model's own answer is about what the query means",
    "history_adds_little": "the chosen answer is nearly as likely without the history",
    "margin_without_history": "the chosen answer is preferred as much without the history",
    "negative_refuses": "the negative refuses, which is no error of context",
    "negative_asks_back": "the negative asks what was meant, which is no error",
    "negative_equals_chosen": "the negative says the same as the chosen answer",
    "negative_empty": "the writer produced no negative",
    "negative_as_good": "a judge finds the negative as good as the chosen answer, or better",
    # evaluate
    "no_answer": "the subject produced no answer to this turn",
    "unparsable_verdict": "the judge's text holds no readable score or verdict",
}
"""Why a row was rejected; ``stages.reasons`` adds what rules declare themselves."""
