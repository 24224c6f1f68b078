"""Cleaning rules, one small function a rule.

A new one that recipes choose is a file here, with its test: a text rule that its file calls
``RULE``, or a check called ``CHECK``. It is found by its being here; its name, and a check's reason
to reject, come from there. Those that always apply stand in the tables below; what they reject for
is in the ``REASONS`` of their files.
"""

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import MappingProxyType, ModuleType

from parrot_core.recipe import Ingest
from parrot_core.stages.ingest.rules.characters import GATE as CHARACTERS_GATE
from parrot_core.stages.ingest.rules.characters import characters
from parrot_core.stages.ingest.rules.control_tokens import GATE as CONTROL_TOKENS_GATE
from parrot_core.stages.ingest.rules.control_tokens import control_tokens
from parrot_core.stages.ingest.rules.gate import Gate
from parrot_core.stages.ingest.rules.limits import (
    keep_first_turns,
    require_length,
    require_short_messages,
    require_turns,
)
from parrot_core.stages.ingest.rules.personal_data import personal_data
from parrot_core.stages.ingest.rules.rule import (
    Check,
    ChosenCheck,
    ChosenRule,
    SessionRule,
    TextRule,
)
from parrot_core.stages.ingest.rules.turns import (
    drop_empty,
    drop_failed_answers,
    drop_junk,
    drop_leading_assistant,
    drop_system,
    drop_unanswered,
    merge_same_speaker,
)
from parrot_core.stages.ingest.rules.whitespace import GATE as WHITESPACE_GATE
from parrot_core.stages.ingest.rules.whitespace import whitespace
from parrot_core.text.names import hide_names


def _modules() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(__path__):
        yield import_module(f"{__name__}.{found.name}")


_MODULES = tuple(_modules())
_RULES = [one for m in _MODULES if isinstance(one := getattr(m, "RULE", None), ChosenRule)]
_CHECKS = [one for m in _MODULES if isinstance(one := getattr(m, "CHECK", None), ChosenCheck)]

CHOSEN_TEXT_RULES: Mapping[str, TextRule] = MappingProxyType(
    {rule.apply.__name__: rule.apply for rule in _RULES}
)
"""Text rules by the name that recipes use."""

SESSION_RULES: tuple[SessionRule, ...] = (
    drop_system,
    drop_failed_answers,
    drop_empty,
    drop_leading_assistant,
    merge_same_speaker,
    drop_unanswered,
    drop_junk,
    keep_first_turns,
    require_short_messages,
    require_turns,
    require_length,
)
"""Applied to every session, in this order: later stages rely on what they leave."""

CHECKS: Mapping[str, Check] = MappingProxyType(
    {check.find.__name__: check.find for check in _CHECKS}
)
"""Checks by the name that recipes use."""

GATES: Mapping[str, Gate] = MappingProxyType(
    {
        "characters": CHARACTERS_GATE,
        "control_tokens": CONTROL_TOKENS_GATE,
        "whitespace": WHITESPACE_GATE,
        **{rule.apply.__name__: rule.gate for rule in _RULES},
        **{check.find.__name__: check.gate for check in _CHECKS},
    }
)
"""For rules and checks that find rarely: what a text must hold to be read (see ``gate``)."""

REASONS: Mapping[str, str] = MappingProxyType(
    {name: why for m in _MODULES for name, why in getattr(m, "REASONS", {}).items()}
    | {check.find.__name__: check.reason for check in _CHECKS}
)
"""Why the rules reject a session, by the reason's name."""


def text_rules(settings: Ingest) -> tuple[TextRule, ...]:
    """The recipe's text rules between those that always apply."""
    chosen = (CHOSEN_TEXT_RULES[name] for name in settings.rules)
    return (characters, *chosen, control_tokens, whitespace)


def hide_people(text: str) -> str:
    """Take people out of an excerpt that a report or an example shows: personal data and names."""
    return hide_names(personal_data(text, ""))
