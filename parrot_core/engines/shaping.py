"""What is sent to a provider: OpenAI's parameters, shaped by what is known of it and the recipe.

The knowledge is data, in ``providers.yaml``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from parrot_core.engines.failures import ProviderFailure
from parrot_core.errors import UserError
from parrot_core.recipe import Engine, OpenAIEngine, Recipe, Sampling

LIMIT_NAMES = ("max_completion_tokens", "max_tokens")
FIXED = ("model", "messages")
"""Parameters that no rule and no setting changes."""


class ProviderRule(BaseModel):
    """One entry of ``providers.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str | None = None
    hosts: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    except_models: tuple[str, ...] = Field((), alias="except")
    rename: dict[str, str] = {}
    request: dict[str, JsonValue] = {}
    key_header: str | None = None
    because: str = ""

    def fits(self, settings: OpenAIEngine) -> bool:
        """Whether it says something of this engine."""
        if self.models and not _any_fits(self.models, settings.model):
            return False
        if _any_fits(self.except_models, settings.model):
            return False
        if self.provider is None:
            return True
        if settings.provider is not None:
            return settings.provider == self.provider
        address = urlsplit(settings.base_url)
        return _any_fits(self.hosts, address.hostname or "") or _any_fits(
            self.hosts, f"{address.hostname}:{address.port}"
        )


@dataclass(frozen=True, slots=True)
class RequestShape:
    """How OpenAI's parameters become those that one engine is sent."""

    rename: Mapping[str, str]
    request: Mapping[str, JsonValue]
    key_header: str = "Authorization"
    reasons: tuple[str, ...] = ()

    def apply(self, body: Mapping[str, Any]) -> dict[str, Any]:
        shaped = {self.rename.get(name, name): value for name, value in body.items()}
        for name, value in self.request.items():
            if value is None:
                shaped.pop(self.rename.get(name, name), None)
                shaped.pop(name, None)
            else:
                shaped[name] = _merged(shaped.get(name), value)
        return shaped


AS_IT_IS = RequestShape({}, {})


def shape_of(settings: Engine) -> RequestShape:
    """What an engine is sent: the rules that fit it, in order, then the recipe's own settings.

    Raises:
        UserError: the recipe names a provider that nobody knows.
    """
    if not isinstance(settings, OpenAIEngine):
        return AS_IT_IS
    known = {rule.provider for rule in provider_rules() if rule.provider}
    if settings.provider is not None and settings.provider not in known | {"other"}:
        raise UserError(
            f"provider: '{settings.provider}' isn't known; there are {', '.join(sorted(known))} "
            "and 'other', for none of these"
        )
    fitting = [rule for rule in provider_rules() if rule.fits(settings)]
    rename: dict[str, str] = {}
    request: dict[str, JsonValue] = {}
    header = "Authorization"
    for rule in fitting:
        rename |= rule.rename
        request |= rule.request
        header = rule.key_header or header
    return RequestShape(
        rename={**rename, **settings.rename},
        request={**request, **settings.request},
        key_header=settings.key_header or header,
        reasons=tuple(dict.fromkeys(rule.because for rule in fitting if rule.because)),
    )


def limit_in(body: Mapping[str, Any], otherwise: int) -> int:
    """The most tokens that a request may be answered with."""
    named = [body[name] for name in LIMIT_NAMES if isinstance(body.get(name), int)]
    return max(named, default=otherwise)


def describe(settings: OpenAIEngine, sampling: Sampling) -> str:
    """One line for people: which parameters are sent, which aren't, and why."""
    shape = shape_of(settings)
    canonical = openai_parameters(sampling, 0)
    sent = shape.apply(canonical)
    new_names = {shape.rename.get(name, name): name for name in canonical}
    changed = [f"{new_names[n]} as {n}" for n in sent if new_names.get(n, n) != n]
    added = [name for name in sent if name not in new_names]
    left = [name for new, name in new_names.items() if new not in sent]
    parts = [f"sends {', '.join(sent)}"]
    parts += [f"renamed {', '.join(changed)}"] if changed else []
    parts += [f"added {', '.join(added)}"] if added else []
    parts += [f"left out {', '.join(left)}"] if left else []
    why = f" ({'; '.join(shape.reasons)})" if shape.reasons else ""
    return "; ".join(parts) + why


def request_lines(recipe: Recipe) -> list[str]:
    """What each API of a recipe is sent, for people.

    Raises:
        UserError: an engine names a provider that nobody knows.
    """
    return [
        f"engine '{name}', {settings.model} at {settings.base_url}: "
        f"{describe(settings, Sampling())}"
        for name, settings in recipe.engines.items()
        if isinstance(settings, OpenAIEngine)
    ]


def openai_parameters(sampling: Sampling, seed: int) -> dict[str, Any]:
    """A sampling as OpenAI calls it, with only the parameters that are set."""
    found: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_completion_tokens": sampling.max_tokens,
        "seed": seed,
    }
    if sampling.stop:
        found["stop"] = list(sampling.stop)
    if sampling.frequency_penalty:
        found["frequency_penalty"] = sampling.frequency_penalty
    if sampling.repetition_penalty is not None:
        found["repetition_penalty"] = sampling.repetition_penalty
    return found


def advice(failure: ProviderFailure, body: Mapping[str, Any], engine: str) -> str:
    """The setting that mends a refusal, where it names a parameter; empty where it doesn't."""
    said = str(failure)
    own = [name for name in body if name not in FIXED]
    named = [name for name in own if failure.param == name or _speaks_of(said, name)]
    if named:
        limit = next((name for name in named if name in LIMIT_NAMES), None)
        other = next((name for name in LIMIT_NAMES if name != limit and _speaks_of(said, name)), "")
        if limit and other:
            return f"--set engines.{engine}.rename.max_completion_tokens={other}"
        if limit:
            return (
                f"lower max_tokens of the sampling, which is sent as {limit}, or give it the name "
                f"that the API knows: --set engines.{engine}.rename.max_completion_tokens=NAME"
            )
        settings = " ".join(f"--set engines.{engine}.request.{name}=null" for name in named)
        return f"{settings} leaves it out" if len(named) == 1 else f"{settings} leaves them out"
    if failure.param is not None and failure.param.isidentifier() and failure.param not in FIXED:
        return f"engines.{engine}.request.{failure.param} sets it"
    return ""


@cache
def provider_rules() -> tuple[ProviderRule, ...]:
    text = Path(__file__).with_name("providers.yaml").read_text(encoding="utf-8")
    return tuple(ProviderRule.model_validate(rule) for rule in yaml.safe_load(text))


def _any_fits(patterns: tuple[str, ...], name: str) -> bool:
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def _merged(old: Any, new: JsonValue) -> Any:
    """A nested value over another: what it doesn't name stays."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}


def _speaks_of(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text) is not None
