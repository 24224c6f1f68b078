"""Finds and defuses text that a chat template or a tokenizer would read as its own control token.

``<|im_end|>`` inside a message ends the turn for a tokenizer and so forges a role. The one way we
defuse it: a space after the opening bracket, ``< |im_end|>``. It still reads the same to a person
and to a model, and no tokenizer takes it for the special token any more.
"""

import re

END_OF_SESSION = "<|end_of_session|>"
"""What an asker writes instead of a query when the user would go. No text of ours can hold it: it
has the form of a control token, and is defused."""

_TOKEN = re.compile(
    r"""
      <\|(?=\S)[\w\ \u2581.:/-]{1,40}(?<=\S)\|>          # ChatML, Qwen, Llama 3, Phi, GPT, GLM
    | <\uff5c[\w\ \u2581-]{1,40}\uff5c>                  # DeepSeek, Hunyuan
    | <\|(?:turn|channel|think|image|audio|tool(?:_call|_response)?)>       # Gemma 4
    | <(?:turn|channel|think|image|audio|tool(?:_call|_response)?)\|>
    | </?(?:start|end)_of_(?:turn|image)>                # Gemma
    | <unused\d{1,5}>
    | </?(?:s|bos|eos|pad|unk|mask|sop|eop)>             # Llama, Gemma, GLM, most tokenizers
    | <(?:BOS|EOS|PAD|UNK)_TOKEN>                        # Command
    | <(?:SPECIAL|extra_id|reserved)_\d{1,4}>            # Nemotron, Baichuan
    | <seed:\w{1,20}>                                    # Seed
    | <</?SYS>>                                          # Llama 2
    | \[/?(?:INST|THINK|AVAILABLE_TOOLS|SYSTEM_PROMPT)\]                    # Llama 2, Mistral
    | \[/?(?:TOOL_(?:CALLS|RESULTS|CONTENT)|CALL_ID|MODEL_SETTINGS)\]
    | \[(?:BOS|EOS|EOT|gMASK)\]                          # Kimi, GLM
    | \[\|\w{1,20}\|\]                                   # Exaone
    | \]~!?b[\[\]] | \[e~\[                              # MiniMax
    | </?(?:repo_name|reponame|file_sep|filename|gh_stars|empty_output)>     # SmolLM2, StarCoder
    | <(?:issue|jupyter|fim)_\w{1,20}>
    """,
    re.VERBOSE,
)
_OPENERS = ("<", "[", "]~")


def find_control_token(text: str) -> str | None:
    match = _TOKEN.search(text) if _may_hold_one(text) else None
    return match[0] if match else None


def defuse_control_tokens(text: str) -> str:
    """The text with a space inside each control token, so that none is left."""
    if not _may_hold_one(text):
        return text
    return _TOKEN.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)


def _may_hold_one(text: str) -> bool:
    return any(opener in text for opener in _OPENERS)
