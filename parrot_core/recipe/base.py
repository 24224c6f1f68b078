"""What all parts of a recipe share: the strict base, references to models, sampling."""

from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from parrot_core.text.wording import did_you_mean

OPERATIONAL: JsonDict = {"operational": True}
SLUG = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def names_in(folder: str) -> tuple[str, ...]:
    """What a folder of the stages offers by name: a file each."""
    found = files("parrot_core.stages").joinpath(folder).iterdir()
    names = (file.name for file in found if not file.name.startswith("_"))
    return tuple(sorted(name.removesuffix(".py") for name in names if name.endswith(".py")))


def one_of(what: str, names: Sequence[str]) -> Any:
    """A type for a name among these, which forms offer as a choice."""

    def known(name: str) -> str:
        if name not in names:
            hint = did_you_mean(name, names)
            raise ValueError(f"unknown {what} '{name}'; expected one of {', '.join(names)}{hint}")
        return name

    return Annotated[str, AfterValidator(known), Field(json_schema_extra={"enum": list(names)})]


ALL_STRATEGIES = names_in("capo/strategies")
"""The strategies of negatives there are."""
ALL_FILTER_RULES = names_in("filters/rules")
"""The rules over turns there are."""
if TYPE_CHECKING:
    Strategy: TypeAlias = str
    FilterRule: TypeAlias = str
else:
    Strategy = one_of("strategy", ALL_STRATEGIES)
    FilterRule = one_of("rule", ALL_FILTER_RULES)
STRATEGIES: tuple[Strategy, ...] = ("neglect", "hallucination", "misunderstanding")
"""The paper's (§3.3), in its order."""
ON_POLICY: Strategy = "on_policy"
"""The strategy that has a model of its own write, and a judge read."""
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
