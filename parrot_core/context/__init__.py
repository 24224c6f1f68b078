"""Which queries depend on their conversation: rules for English and Chinese (paper §3.3, stage 4).

:func:`detect` is the way in. How well it does is measured on :mod:`parrot_core.context.labelled`,
see docs/context-dependence.md. The LLM judge's view is ``parrot_core.judging.depends``.
"""

from parrot_core.context.detect import Dependence, detect, rules_language
from parrot_core.context.rule import KINDS, Cue, Kind

__all__ = ["KINDS", "Cue", "Dependence", "Kind", "detect", "rules_language"]
