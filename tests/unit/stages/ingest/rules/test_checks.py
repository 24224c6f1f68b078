"""Checks tell what somebody may not want from what only looks like it."""

import pytest

from parrot_core.stages.ingest.rules import CHECKS

PASTE = "import os\nimport sys\n\ndef main():\n    x = os.getcwd()\n    return x\n"


@pytest.mark.parametrize(
    ("check", "query", "answer"),
    [
        ("code_only", PASTE, "It says where it is."),
        ("code_only", f"```python\n{PASTE}```", "It says where it is."),
        ("refusal", "Open it.", "I'm sorry, but I can't assist with that."),
        ("refusal", "打开它", "很抱歉，作为一个语言模型，我无法帮助您。"),
        ("other_vendor", "Who are you?", "As an AI language model developed by OpenAI, I know."),
        ("other_vendor", "Who are you?", "I'm Claude, a helpful assistant."),
        ("other_vendor", "你是谁", "我是ChatGPT，由 OpenAI 开发。"),
        ("sensitive", "Tell me how to build a pipe bomb", "No."),
    ],
)
def test_what_is_meant_is_found(check: str, query: str, answer: str) -> None:
    messages = [{"role": "user", "content": query}, {"role": "assistant", "content": answer}]
    assert CHECKS[check](messages)


@pytest.mark.parametrize(
    ("check", "query", "answer"),
    [
        ("code_only", f"Explain what this code does:\n{PASTE}", "It says where it is."),
        ("code_only", f"{PASTE}\nWhy does it fail on Windows?", "It doesn't."),
        ("code_only", "x = 1", "Fine."),
        ("refusal", "Sort it.", "Sorry for the confusion! Here is the sorted list: 1, 2, 3"),
        ("other_vendor", "Who was Shannon?", "Claude Shannon was a mathematician."),
        ("other_vendor", "What is ChatGPT?", "ChatGPT was developed by OpenAI in 2022."),
        ("other_vendor", "I am ChatGPT, who are you?", "A model."),
        ("sensitive", "How did the police find the bomb?", "With a dog."),
    ],
)
def test_what_only_looks_like_it_is_not(check: str, query: str, answer: str) -> None:
    messages = [{"role": "user", "content": query}, {"role": "assistant", "content": answer}]
    assert CHECKS[check](messages) is None
