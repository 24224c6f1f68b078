"""Settings of the evaluation."""

from pydantic import Field, model_validator

from parrot_core.recipe.base import OPERATIONAL, Model, Sampling


class Evaluate(Model):
    """An LLM judge scores a multi-turn benchmark turn by turn, 1–10 (Zheng et al. 2023)."""

    questions: str = Field(
        "package://parrot_core/evaluation/questions.jsonl",
        description="Questions in FastChat's JSONL layout (question_id, category, turns).",
    )
    subjects: dict[str, str] = Field(
        description="What is compared: a name shown in the report, and the engine it runs on."
    )
    judge: str = Field("judge", description="Engine that scores the answers.")
    baseline: str | None = Field(
        None,
        description=(
            "Subject that each other one is compared with, answer by answer in both orders; null "
            "compares nothing."
        ),
    )
    limit: int | None = Field(None, ge=1, description="Only the first so many questions.")
    max_turns: int | None = Field(None, ge=1, description="Only the first so many turns.")
    answer: Sampling = Field(Sampling(max_tokens=1024), description="Sampling of answers.")
    verdict: Sampling = Field(
        Sampling(temperature=0, max_tokens=512), description="Sampling of the judge."
    )
    questions_per_shard: int = Field(
        20, ge=1, le=100_000, description="Questions of one subject in a shard."
    )
    sessions_in_flight: int = Field(
        16, ge=1, le=100_000, json_schema_extra=OPERATIONAL, description="Sessions at once."
    )

    @model_validator(mode="after")
    def _baseline_is_a_subject(self) -> "Evaluate":
        if self.baseline is not None and self.baseline not in self.subjects:
            have = ", ".join(self.subjects) or "none"
            raise ValueError(f"baseline '{self.baseline}' is no subject (subjects: {have})")
        return self
