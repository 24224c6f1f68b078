"""Settings of the evaluation."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from parrot_core.recipe.base import OPERATIONAL, Model, Sampling

FASTCHAT_TEMPERATURES = {
    "writing": 0.7,
    "roleplay": 0.7,
    "extraction": 0.0,
    "math": 0.0,
    "coding": 0.0,
    "reasoning": 0.0,
    "stem": 0.1,
    "humanities": 0.1,
}
"""At which MT-Bench's categories are answered (Zheng et al. 2023, FastChat's llm_judge)."""


class Evaluate(Model):
    """An LLM judge scores a multi-turn benchmark turn by turn, 1–10 (Zheng et al. 2023)."""

    questions: str = Field(
        "package://parrot_core/benchmarks/parrot_bench_8/question.jsonl",
        description="Questions as JSONL in FastChat's layout (question_id, category, turns); the "
        "default is Parrot-Bench-8, eight turns a session. The files of MT-Bench, MT-Bench-101 "
        "and MT-Eval work as they are.",
    )
    references: str | None = Field(
        None,
        description="Reference answers in FastChat's layout (question_id, choices) for the judge; "
        "unset takes the one file in the folder reference_answer beside the questions, or else "
        "the field `reference` of the questions.",
    )
    language: str | None = Field(
        None, description="Only questions in this language (their field `language`, else en)."
    )
    subjects: dict[str, str] = Field(
        {},
        description=(
            "What is compared: a name shown in the report, and the engine it runs on. The stage "
            "evaluate needs one."
        ),
    )
    judge: str = Field("judge", description="Engine that scores the answers.")
    judge_prompt: str = Field(
        "explain",
        min_length=1,
        description=(
            "How the judge is asked for a grade. explain: it explains first, then grades, as "
            "FastChat's does, in our words. short: only a grade, after three examples, for small "
            "judges. Or a file in the layout of FastChat's judge_prompts.jsonl, whose prompts "
            "then grade the first two turns; questions may have no more."
        ),
    )
    baseline: str | None = Field(
        None,
        description=(
            "Subject that each other one is compared with, answer by answer in both orders; null "
            "compares nothing."
        ),
    )
    history: Literal["own", "given"] = Field(
        "own",
        description=(
            "Whose answers stand before a later turn. own: the subject's. given: the benchmark's, "
            "where it has them, as MT-Bench-101 does and MT-Eval for its gold context."
        ),
    )
    single_turn: str | None = Field(
        None,
        min_length=1,
        description=(
            "Ask every turn as a single message too, as a control: concat lists all queries so "
            "far (Laban et al. 2025); or a file of single-turn equivalents, such as MT-Eval's."
        ),
    )
    repeats: int = Field(
        1,
        ge=1,
        le=100,
        description=(
            "Hold every session so many times, and report the mean, the best and the worst of "
            "them. At temperature 0 they are alike: see `temperatures`."
        ),
    )
    limit: int | None = Field(
        None,
        ge=1,
        description="Only so many questions, as evenly from all categories as can be.",
    )
    max_turns: int | None = Field(None, ge=1, description="Only the first so many turns.")
    answer: Sampling = Field(Sampling(max_tokens=1024), description="Sampling of answers.")
    temperatures: dict[str, Annotated[float, Field(ge=0, le=2)]] = Field(
        FASTCHAT_TEMPERATURES,
        description=(
            "Temperature of answers by category, FastChat's unless said otherwise; a category "
            "that is not listed is answered at that of `answer`."
        ),
    )
    verdict: Sampling = Field(
        Sampling(temperature=0, max_tokens=2048), description="Sampling of the judge."
    )
    questions_per_shard: int = Field(
        20, ge=1, le=100_000, description="Questions of one subject in a shard."
    )
    sessions_in_flight: int = Field(
        16, ge=1, le=100_000, json_schema_extra=OPERATIONAL, description="Sessions at once."
    )

    def sampling_of(self, category: str) -> Sampling:
        temperature = self.temperatures.get(category, self.answer.temperature)
        return self.answer.model_copy(update={"temperature": temperature})

    @model_validator(mode="after")
    def _baseline_is_a_subject(self) -> "Evaluate":
        if self.baseline is not None and self.baseline not in self.subjects:
            have = ", ".join(self.subjects) or "none"
            raise ValueError(f"baseline '{self.baseline}' is no subject (subjects: {have})")
        return self
