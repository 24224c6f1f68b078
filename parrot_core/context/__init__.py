"""Which queries depend on their conversation (paper §3.3, stage 4).

English is read by a small learned model, Chinese by rules.

:func:`detect` is the way in. How well it does by people's labels is in
docs/explanation/context-dependence.md.
The LLM judge's view is ``parrot_core.judging.depends``.
"""

from parrot_core.context.detect import Dependence, detect, detector_language
from parrot_core.context.rule import KINDS, Cue, Kind

__all__ = ["KINDS", "Cue", "Dependence", "Kind", "detect", "detector_language"]
