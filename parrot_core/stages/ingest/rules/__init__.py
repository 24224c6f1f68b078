"""Cleaning rules, one small function a rule.

A new one is a file here, a line in the table of its kind below, its name in ``recipe.data``
(``str`` or ``str``), a reason in ``schemas.REASONS`` if it rejects, and a test.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from parrot_core.recipe import Ingest
from parrot_core.stages.ingest.rules.characters import GATE as CHARACTERS_GATE
from parrot_core.stages.ingest.rules.characters import characters
from parrot_core.stages.ingest.rules.code_only import code_only
from parrot_core.stages.ingest.rules.control_tokens import GATE as CONTROL_TOKENS_GATE
from parrot_core.stages.ingest.rules.control_tokens import control_tokens
from parrot_core.stages.ingest.rules.gate import Gate
from parrot_core.stages.ingest.rules.html_to_markdown import GATE as HTML_TO_MARKDOWN_GATE
from parrot_core.stages.ingest.rules.html_to_markdown import html_to_markdown
from parrot_core.stages.ingest.rules.interface import GATE as INTERFACE_GATE
from parrot_core.stages.ingest.rules.interface import interface
from parrot_core.stages.ingest.rules.limits import (
    keep_first_turns,
    require_length,
    require_short_messages,
    require_turns,
)
from parrot_core.stages.ingest.rules.other_vendor import GATE as OTHER_VENDOR_GATE
from parrot_core.stages.ingest.rules.other_vendor import other_vendor
from parrot_core.stages.ingest.rules.personal_data import GATE as PERSONAL_DATA_GATE
from parrot_core.stages.ingest.rules.personal_data import personal_data
from parrot_core.stages.ingest.rules.refusal import refusal
from parrot_core.stages.ingest.rules.rule import Check, SessionRule, TextRule
from parrot_core.stages.ingest.rules.sensitive import GATE as SENSITIVE_GATE
from parrot_core.stages.ingest.rules.sensitive import sensitive
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

CHOSEN_TEXT_RULES: Mapping[str, TextRule] = MappingProxyType(
    {
        "html_to_markdown": html_to_markdown,
        "interface": interface,
        "personal_data": personal_data,
    }
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
    {
        "sensitive": sensitive,
        "refusal": refusal,
        "other_vendor": other_vendor,
        "code_only": code_only,
    }
)
"""Checks by the name that recipes use."""

GATES: Mapping[str, Gate] = MappingProxyType(
    {
        "characters": CHARACTERS_GATE,
        "html_to_markdown": HTML_TO_MARKDOWN_GATE,
        "interface": INTERFACE_GATE,
        "personal_data": PERSONAL_DATA_GATE,
        "control_tokens": CONTROL_TOKENS_GATE,
        "whitespace": WHITESPACE_GATE,
        "sensitive": SENSITIVE_GATE,
        "refusal": Gate(role="assistant"),
        "other_vendor": OTHER_VENDOR_GATE,
    }
)
"""For rules and checks that find rarely: what a text must hold to be read (see ``gate``)."""


def text_rules(settings: Ingest) -> tuple[TextRule, ...]:
    """The recipe's text rules between those that always apply."""
    chosen = (CHOSEN_TEXT_RULES[name] for name in settings.rules)
    return (characters, *chosen, control_tokens, whitespace)


def mask_of(settings: Ingest) -> Callable[[str], str]:
    """What takes personal data out of an excerpt, if the recipe has texts masked at all."""
    if "personal_data" not in settings.rules:
        return str
    return lambda text: personal_data(text, "")
