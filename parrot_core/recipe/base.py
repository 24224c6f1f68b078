"""What all parts of a recipe share: the strict base, references to models, sampling."""

from importlib.resources import files
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

OPERATIONAL: JsonDict = {"operational": True}
SLUG = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
ALL_STRATEGIES = tuple(
    sorted(
        file.name.removesuffix(".py")
        for file in files("parrot_core.stages.capo").joinpath("strategies").iterdir()
        if file.name.endswith(".py") and not file.name.startswith("_")
    )
)
"""The strategies of negatives there are: the files of that folder."""


def _known_strategy(name: str) -> str:
    if name not in ALL_STRATEGIES:
        raise ValueError(f"unknown strategy '{name}'; expected one of {', '.join(ALL_STRATEGIES)}")
    return name


Strategy = Annotated[
    str, AfterValidator(_known_strategy), Field(json_schema_extra={"enum": list(ALL_STRATEGIES)})
]
STRATEGIES: tuple[Strategy, ...] = ("neglect", "hallucination", "misunderstanding")
"""The paper's (§3.3), in its order."""
MODEL_REF = (
    "A model: a Hugging Face id, a local folder, `lake:NAME` (this run's version) or "
    "`lake:NAME@VERSION`, or `package://PACKAGE/FILE.gguf` (a GGUF file that an installed "
    "Python package ships; converted once)."
)
ModelRef = Annotated[str, Field(min_length=1, description=MODEL_REF)]


class Model(BaseModel):
    """Strict base: an unknown key is an error, not a silent default."""

    # Defaults are validated so that 3 and 3.0 have one fingerprint.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Sampling(Model):
    """How an engine samples one completion."""

    temperature: float = Field(0.7, ge=0, le=2, description="0 is greedy.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus sampling mass.")
    max_tokens: int = Field(512, ge=1, le=32768, description="Longest completion, in tokens.")
    stop: tuple[str, ...] = Field((), description="Strings that end a completion.")
    frequency_penalty: float = Field(0.0, ge=-2, le=2, description="OpenAI's frequency penalty.")
    repetition_penalty: float | None = Field(
        None, gt=0, le=2, description="vLLM's repetition penalty; not sent when unset."
    )
