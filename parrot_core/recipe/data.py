"""Settings of the stages that make dialogues: ingest, seeds, synthesize, filter."""

from typing import Annotated, Literal, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from parrot_core.recipe.base import OPERATIONAL, SLUG, FilterRule, Model, Sampling

FILTER_RULES: tuple[FilterRule, ...] = (
    "malformed",
    "encoding",
    "short",
    "role_confusion",
    "answers",
    "echo",
    "repetitive",
    "collapse",
    "copied",
    "sensitive",
    "refusal",
)
"""What is applied unless a recipe says otherwise, in this order."""

Guard = Literal["repeat", "echo", "role", "length"]
GUARDS: tuple[Guard, ...] = get_args(Guard)


class NearDuplicates(Model):
    """Sessions that say nearly the same: found across all sources by MinHash, then verified."""

    similarity: float | None = Field(
        0.8,
        ge=0.5,
        le=1,
        description=(
            "Jaccard similarity of word triples from which two sessions, or two opening queries, "
            "count as nearly the same; null looks for exact copies alone."
        ),
    )
    sessions: Literal["reject", "group"] = Field(
        "reject",
        description=(
            "reject keeps the longest session of those alike; group keeps all, in one split."
        ),
    )
    first_queries: Literal["reject", "group"] = Field(
        "group", description="The same for sessions that open with nearly the same query."
    )
    benchmark: float | None = Field(
        0.8,
        gt=0,
        le=1,
        description=(
            "A session is rejected if a query of it holds this share of the word triples of a "
            "question of evaluate.questions; null lets the benchmark into the training."
        ),
    )


class Source(Model):
    """One source of conversations, with what is to be said about it beside its address."""

    url: str = Field(
        min_length=1,
        description=(
            "A file, an archive, a folder or a pattern with `*`: a path, `s3://`, `hf://` or "
            "another fsspec URL, or `package://PACKAGE/FILE`. Or `datasets://NAME?split=…` for "
            "what `datasets.load_dataset` opens (beside split: config, revision, streaming …)."
        ),
    )
    name: str | None = Field(
        None,
        pattern=SLUG,
        description="Short name that its rows carry; unset, made from the address.",
    )
    layout: str | None = Field(
        None,
        pattern=SLUG,
        description=(
            "How its records are laid out, by a name in docs/how-to/sources.md; unset, recognised "
            "from the data."
        ),
    )
    include: tuple[str, ...] = Field(
        (),
        description=(
            "Patterns of the files of a folder to read, by path or name, e.g. ['train/*', "
            "'*.txt']. Empty: those whose name says that they are data."
        ),
    )
    exclude: tuple[str, ...] = Field(
        (), description="Patterns of the files of a folder to leave out, e.g. ['test/*']."
    )
    limit: int | None = Field(
        None, ge=1, description="Read at most so many records of each file; unset, `ingest.limit`."
    )


def _entry_kind(entry: object) -> str:
    return "plain_url" if isinstance(entry, str) else "mapping"


# Told apart by shape, so that an error names what is wrong with the one that was meant.
SourceEntry = Annotated[
    Annotated[str, Tag("plain_url")] | Annotated[Source, Tag("mapping")], Discriminator(_entry_kind)
]


class Ingest(Model):
    """Source records to clean sessions without duplicates, each in its split.

    The stages ``ingest`` (texts, record by record) and ``assemble`` (sessions) follow it.
    """

    sources: tuple[SourceEntry, ...] = Field(
        (),
        description=(
            "Where conversations come from: the `url` alone, or a mapping that says more. The "
            "stage ingest needs one."
        ),
    )
    limit: int | None = Field(
        None, ge=1, description="Read at most so many records of each file of a source."
    )
    on_unreadable: Literal["reject", "stop"] = Field(
        "reject",
        description=(
            "What a file that can't be read does, where others can: reject puts it among the "
            "rejects with a warning, stop ends the run before it starts."
        ),
    )
    speakers: dict[str, Literal["user", "assistant", "system", "tool"]] = Field(
        {},
        description=(
            "Names of speakers beyond the usual ones, in whatever case, e.g. {customer: user, "
            "agent: assistant}."
        ),
    )
    tool_turns: Literal["drop", "text"] = Field(
        "drop",
        description=(
            "Turns in which a tool is called: drop leaves them out whole, from the query to the "
            "answer; text keeps calls and results as the assistant's text."
        ),
    )
    tree_paths: Literal["best", "all"] = Field(
        "best",
        description=(
            "Which paths of a tree of messages (OASST) are sessions: the one of the best-ranked "
            "replies, or each."
        ),
    )
    languages: tuple[str, ...] = Field(
        ("en",), description="ISO 639-1 codes to keep; empty keeps every language."
    )
    min_turns: int = Field(1, ge=1, le=1000, description="Fewest user queries a session.")
    max_turns: int | None = Field(None, ge=1, description="Keep only the first so many turns.")
    max_message_chars: int = Field(
        20_000, ge=100, description="A session is cut before the turn with a longer message."
    )
    min_session_chars: int = Field(
        1, ge=1, description="Fewest characters of a session, all messages together."
    )
    rules: tuple[str, ...] = Field(
        ("html_to_markdown", "markdown_escapes", "interface", "personal_data"),
        description=(
            "Rules that change texts, in order, by their names in docs/how-to/cleaning.md. Odd "
            "characters, control tokens and stray whitespace are always mended."
        ),
    )
    checks: dict[str, Literal["flag", "reject"]] = Field(
        {"sensitive": "flag", "refusal": "flag", "other_vendor": "flag", "code_only": "flag"},
        description=(
            "What to look for in a session: flag puts the check's name into the row's flags, "
            "reject refuses the session; one that is left out is not looked for."
        ),
    )
    join_parts: bool = Field(
        True,
        description=(
            "Join the parts of a session that a dump split (X_0, X_7 …) where they fit without "
            "a gap, whichever file they are in."
        ),
    )
    near_duplicates: NearDuplicates = NearDuplicates()
    heldout_fraction: float = Field(
        0.02,
        gt=0,
        lt=0.5,
        description="Share of sessions that no training ever sees, nor anything like them.",
    )
    seed_fraction: float = Field(
        0.25, gt=0, lt=1, description="Share of sessions whose first query seeds a new dialogue."
    )
    rows_per_file: int = Field(5000, ge=1, description="Sessions in one Parquet file.")

    @model_validator(mode="after")
    def _something_is_left(self) -> "Ingest":
        if self.max_turns is not None and self.max_turns < self.min_turns:
            raise ValueError(f"min_turns {self.min_turns} is above max_turns {self.max_turns}")
        if self.heldout_fraction + self.seed_fraction >= 1:
            raise ValueError("heldout_fraction and seed_fraction leave no session to train on")
        return self


class Seeds(Model):
    """First-turn queries that start a synthesized dialogue."""

    limit: int = Field(40_000, ge=1, description="Number of seeds (the paper: 40 K).")
    per_source: dict[str, int] = Field(
        {},
        description=(
            "Most seeds of each source, by a pattern of source names such as 'ultrachat*'; a "
            "source that no pattern fits gives none. Empty: no matter from which (the paper: "
            "20 K from ShareGPT and 20 K from UltraChat)."
        ),
    )
    from_training: bool = Field(
        False,
        description=(
            "Sessions that train the asker may give their opening query as a seed, too: more "
            "seeds and more sessions to train on than with a part set aside. Their opening "
            "queries then may not train (train_ask.learn_first_query: false)."
        ),
    )
    topics: int = Field(
        0,
        ge=0,
        le=1000,
        description=(
            "Topics, found by clustering the opening queries, among which and among languages "
            "the seeds are spread as evenly as there are candidates; 0 takes them as they come."
        ),
    )
    min_chars: int = Field(12, ge=1, description="Shortest query.")
    max_chars: int = Field(2000, ge=1, description="Longest query.")
    stand_alone: bool = Field(
        True,
        description=(
            "Refuse an opening that leans on something unseen, as 'How would this make scaling "
            "easier?' does; long ones bring what they are about. The paper says nothing of it."
        ),
    )


class Synthesize(Model):
    """The dialogue loop: answer, ask, answer … (paper §3.2)."""

    asker: str = Field(
        "asker",
        description="Engine that writes the user's turns: Parrot-Ask, or any other model.",
    )
    role_play: bool = Field(
        False,
        description=(
            "The asker is an instruct model that is told to play the user: it gets the "
            "conversation as a transcript. Off, it gets the conversation itself, which a trained "
            "asker's own template goes on with as the user."
        ),
    )
    answerer: str = Field("answerer", description="Engine that writes the assistant's turns.")
    max_turns: int = Field(10, ge=1, le=100, description="Turns a session (the paper: 10).")
    min_turns: int = Field(
        2, ge=1, le=100, description="A session that ends earlier is rejected with its reason."
    )
    turns_band: tuple[int, int] | None = Field(
        None,
        description=(
            "Fewest and most turns of a band: each session is complete after a number of its own "
            "from it, all alike likely. Unset, after max_turns, as in the paper."
        ),
    )
    end_from: int = Field(
        1,
        ge=1,
        le=100,
        description=(
            "Turns after which the asker may end a session by its mark (train_ask.end_mark). An "
            "earlier mark is asked about once more; a second one ends the session all the same."
        ),
    )
    guards: tuple[Guard, ...] = Field(
        (),
        description=(
            "What no query may be: a verbatim `repeat`, an `echo` of the last answer, one that "
            "begins in the assistant's `role`, or of a `length` outside query_words. Such a query "
            "is asked for once more, then ends its session. The paper has none."
        ),
    )
    query_words: tuple[int, int] = Field(
        (1, 400), description="Fewest and most words of a query, for the guard `length`."
    )
    best_of: int = Field(
        1,
        ge=1,
        le=16,
        description=(
            "Samples of each query, of which the best goes on: like a user's, leaning on the "
            "conversation, about what it is about; judged without a model. The paper takes one."
        ),
    )
    ask: Sampling = Field(Sampling(max_tokens=256), description="Sampling of queries.")
    answer: Sampling = Field(Sampling(max_tokens=1024), description="Sampling of responses.")
    system: str | None = Field(
        None,
        min_length=1,
        max_length=100_000,
        description="System prompt of the answerer; the asker never sees it.",
    )
    system_column: str | None = Field(
        None,
        min_length=1,
        description=(
            "Column of the seeds that holds a system prompt of a session's own, e.g. system; "
            "where it is empty, `system` holds."
        ),
    )
    keep_system: bool = Field(
        False,
        description="Keep the system prompt in the data, as the first message of its dialogue.",
    )
    keep_truncated: bool = Field(
        False,
        description=(
            "Keep an answer or a query that was cut at max_tokens; else it ends its session."
        ),
    )
    control_tokens: Literal["defuse", "end"] = Field(
        "defuse",
        description=(
            "A chat template's control token in an answer, such as <|im_end|>: defuse writes a "
            "space into it, end ends the session before the answer. In a query it always does."
        ),
    )
    sessions_per_shard: int = Field(
        256, ge=1, le=100_000, description="Sessions a shard: the unit of retry."
    )
    sessions_in_flight: int = Field(
        64, ge=1, le=100_000, json_schema_extra=OPERATIONAL, description="Sessions at once a shard."
    )

    @model_validator(mode="after")
    def _turns_in_order(self) -> "Synthesize":
        if self.min_turns > self.max_turns:
            raise ValueError(f"min_turns {self.min_turns} is above max_turns {self.max_turns}")
        if self.turns_band is not None:
            low, high = self.turns_band
            if not self.min_turns <= low <= high <= self.max_turns:
                raise ValueError(
                    f"turns_band [{low}, {high}]; expected fewest before most, within min_turns "
                    f"{self.min_turns} and max_turns {self.max_turns}"
                )
        fewest, most = self.query_words
        if not 0 <= fewest <= most:
            raise ValueError(f"query_words [{fewest}, {most}]; expected fewest before most")
        return self


class Filter(Model):
    """Rules over synthesized dialogues. A turn that fails ends the session before it."""

    rules: tuple[FilterRule, ...] = Field(
        FILTER_RULES,
        description="Names of the rules to apply, in order (see docs/explanation/filters.md).",
    )
    drop_session: tuple[FilterRule, ...] = Field(
        (),
        description="Rules that reject the whole session instead of ending it before the turn.",
    )
    min_turns: int = Field(2, ge=1, description="Fewest turns left, else the session is rejected.")
    min_query_chars: int = Field(4, ge=1, description="Shortest follow-up query.")
    max_similarity: float = Field(
        0.85, gt=0, le=1, description="ROUGE-L F1 with an earlier query above which it repeats."
    )
    max_copies: int = Field(
        3,
        ge=0,
        description=(
            "Earlier sessions that may have asked almost the same query of 12 words or more."
        ),
    )
    flagged: str | None = Field(
        None,
        pattern=SLUG,
        description=(
            "Name of an export of rows that reviewers flagged (docs/how-to/dashboard.md): those "
            "sessions are rejected."
        ),
    )
