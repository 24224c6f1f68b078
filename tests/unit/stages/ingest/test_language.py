"""The language of a session is told from its words, not from its code."""

import pytest

from parrot_core.engines.types import Message, Role
from parrot_core.stages.ingest.language import FastTextDetector, session_language


@pytest.fixture(scope="module")
def detector() -> FastTextDetector:
    return FastTextDetector()


def _session(*texts: str) -> list[Message]:
    roles: tuple[Role, Role] = ("user", "assistant")
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("How do I bake a loaf of bread at home without an oven?", "en"),
        ("Comment puis-je faire du pain à la maison sans four ?", "fr"),
        ("没有烤箱的话，怎么在家里烤面包？", "zh"),
        ("Как испечь хлеб дома без духовки?", "ru"),
    ],
)
def test_the_language_of_a_session_is_told(
    detector: FastTextDetector, query: str, code: str
) -> None:
    guess = session_language(
        _session(query, f"{query}\n```python\nfor x in y: pass\n```"), detector
    )
    assert guess is not None
    assert guess.code == code


def test_a_session_of_code_alone_has_no_language(detector: FastTextDetector) -> None:
    assert session_language(_session("```\nx = 1\n```", "1 + 1 = 2"), detector) is None
