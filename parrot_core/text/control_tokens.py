"""Finds and defuses text that a chat template or a tokenizer would read as its own control token.

``<|im_end|>`` inside a message ends the turn for a tokenizer and so forges a role. The one way we
defuse it: a space after the opening bracket, ``< |im_end|>``. It still reads the same to a person
and to a model, and no tokenizer takes it for the special token any more.
"""

import re

_TOKEN = re.compile(
    r"""
      <\|[\w\ -]{1,40}\|>                                # ChatML, Llama 3, Phi, GPT
    | <\uff5c[\w\ \u2581-]{1,40}\uff5c>                  # DeepSeek
    | </?(?:s|bos|eos|pad|unk|mask)>                     # Llama, Gemma, most tokenizers
    | <</?SYS>>                                          # Llama 2
    | \[/?(?:INST|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT)\]   # Llama 2, Mistral
    | </?(?:start|end)_of_turn>                          # Gemma
    | </?(?:repo_name|reponame|file_sep|filename|gh_stars|empty_output)>     # SmolLM2, StarCoder
    | <(?:issue|jupyter)_\w{1,20}>
    """,
    re.VERBOSE,
)


def find_control_token(text: str) -> str | None:
    """The first control token in a text."""
    match = _TOKEN.search(text) if "<" in text or "[" in text else None
    return match[0] if match else None


def defuse_control_tokens(text: str) -> str:
    """The text with a space inside each control token, so that none is left."""
    if "<" not in text and "[" not in text:
        return text
    return _TOKEN.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
