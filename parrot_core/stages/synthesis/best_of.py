"""Of several samples of the asker the one that a user would most likely write.

Judged here, without a model: whether it is like a user's (the guards' signs), whether it leans on
the conversation (the detector of ``context``), and whether it speaks of what that is about.
"""

from collections.abc import Sequence

from parrot_core.context import detect
from parrot_core.engines.types import Completion, Message
from parrot_core.recipe import GUARDS, Synthesize
from parrot_core.stages.fitness import Unfit, fit_text
from parrot_core.stages.synthesis.guards import query_problem
from parrot_core.text.control_tokens import END_OF_SESSION
from parrot_core.text.similarity import WITHOUT_CONTENT, tokens

USUAL_WORDS = 40
"""Nine in ten of ShareGPT's follow-ups are shorter."""
_OBJECTED = 0.1  # by a guard: better than none
_NEW_WORDS = 0.5  # share that a coherent query may bring
_LAST = 4  # messages that a query is likely about, with the first


def best_of(
    samples: Sequence[Completion],
    conversation: Sequence[Message],
    language: str | None,
    settings: Synthesize,
) -> Completion:
    """The best, the first of equals; an end mark in the first sample stands, as with one sample.

    Args:
        samples: what the asker wrote, at least one.
        conversation: what came before; it ends with an answer.
        language: of the session.
        settings: of the stage.
    """
    if samples[0].text.strip() == END_OF_SESSION:
        return samples[0]
    return max(samples, key=lambda each: merit(each, conversation, language, settings))


def merit(
    sample: Completion,
    conversation: Sequence[Message],
    language: str | None,
    settings: Synthesize,
) -> float:
    """From 0, for what would end the session, to 4.6; guards come before all else.

    The weights tell people's follow-ups from other sessions' best (measurements/best-of.md).
    """
    try:
        text = fit_text(sample, keep_truncated=settings.keep_truncated, control_tokens="end")
    except Unfit:
        return 0.0
    all_guards = settings.model_copy(update={"guards": GUARDS})
    if text == END_OF_SESSION or query_problem(text, conversation, all_guards):
        return _OBJECTED
    words = tokens(text)
    short = min(1.0, USUAL_WORDS / max(len(words), 1))
    depends = detect(text, conversation, language).depends
    leans = 0.5 if depends is None else float(depends)
    return _OBJECTED + short + 0.5 * leans + 3 * coherence(words, conversation)


def coherence(words: Sequence[str], conversation: Sequence[Message]) -> float:
    """Share of a query's words with content that the conversation has; half of them are enough."""
    content = {word for word in words if word not in WITHOUT_CONTENT}
    if not content:
        return _NEW_WORDS
    near = [*conversation[:1], *conversation[-_LAST:]]
    said = {word for message in near for word in tokens(message["content"])}
    return min(1.0, len(content & said) / len(content) / _NEW_WORDS)
