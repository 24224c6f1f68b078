import pytest

from parrot_core.judging.prompts import prompts_for


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_instruction_can_be_filled_and_alternates_its_speakers(language: str) -> None:
    prompts = prompts_for(language)
    for prompt, values in (
        (prompts.depends, {"history": "H!", "query": "Q!"}),
        (prompts.guess, {"query": "Q!"}),
        (prompts.hallucinate, {"query": "Q!", "guess": "G!"}),
        (prompts.pick, {"query": "Q!", "passages": "P!"}),
        (prompts.misunderstand, {"query": "Q!", "passage": "P!"}),
    ):
        messages = prompt.messages(**values)
        text = "\n".join(message["content"] for message in messages)
        assert all(value in text for value in values.values())
        roles = [message["role"] for message in messages]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]


def test_braces_in_a_query_stay_as_they_are() -> None:
    query = "What does {history} or {query} mean in {}?"
    asked = prompts_for("en").depends.messages(history="none", query=query)
    assert query in asked[-1]["content"]


def test_a_language_without_a_prompt_set_is_asked_in_english() -> None:
    assert prompts_for("de") is prompts_for(None)
    assert prompts_for("zh-TW").prompt_set.startswith("capo-zh")


def test_a_transcript_names_the_speakers_and_leaves_system_messages_out() -> None:
    text = prompts_for("en").transcript(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
        ]
    )
    assert text == "User: Hi\nAssistant: Hello"
