import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.stages.ingest.rules.control_tokens import GATE
from parrot_core.stages.ingest.rules.gate import suspects
from parrot_core.text.control_tokens import defuse_control_tokens, find_control_token

TOKENS = {
    "ChatML": "<|im_start|> <|im_end|> <|im_sep|>",
    "Qwen": "<|endoftext|> <|vision_start|> <|fim_prefix|>",
    "Llama 2": "<s> </s> [INST] [/INST] <<SYS>> <</SYS>>",
    "Llama 3": "<|begin_of_text|> <|start_header_id|> <|end_header_id|> <|eot_id|> <|eom_id|>",
    "Llama 4": "<|header_start|> <|header_end|> <|eot|>",
    "Gemma": "<bos> <eos> <start_of_turn> <end_of_turn> <start_of_image> <unused94>",
    "Gemma 4": "<|turn> <turn|> <|channel> <channel|> <|tool_call> <tool_call|>",
    "Mistral": "[INST] [AVAILABLE_TOOLS] [TOOL_CALLS] [/TOOL_RESULTS] [SYSTEM_PROMPT] [THINK]",
    "Phi": "<|user|> <|assistant|> <|end|> <|system|>",
    "DeepSeek": "<｜begin▁of▁sentence｜> <｜User｜> <｜Assistant｜> <｜end▁of▁sentence｜>",
    "gpt-oss": "<|start|> <|channel|> <|message|> <|return|> <|call|>",
    "Command": "<BOS_TOKEN> <|START_OF_TURN_TOKEN|> <|CHATBOT_TOKEN|> <|END_OF_TURN_TOKEN|>",
    "GLM": "[gMASK] <sop> <|observation|>",
    "Kimi": "<|im_user|> <|im_middle|> [EOS] [BOS] [EOT]",
    "Nemotron": "<extra_id_1> <SPECIAL_12>",
    "Exaone": "[|system|] [|endofturn|]",
    "MiniMax": "]~b] ]~!b[ [e~[",
    "Seed": "<seed:bos> <seed:eos>",
    "Granite": "<|start_of_role|> <|end_of_role|>",
    "StarCoder": "<repo_name> <file_sep> <fim_prefix> <issue_start> <jupyter_code>",
}
EVERY = sorted({token for tokens in TOKENS.values() for token in tokens.split()})


@pytest.mark.parametrize("token", EVERY)
def test_a_token_of_any_family_is_found_and_defused(token: str) -> None:
    text = f"About five metres.{token}user\n\nThanks!"
    assert find_control_token(text) == token
    assert defuse_control_tokens(text) == f"About five metres.{token[0]} {token[1:]}user\n\nThanks!"


@pytest.mark.parametrize("token", EVERY)
def test_ingest_looks_at_every_text_that_holds_one(token: str) -> None:
    assert suspects([f"a{token}b", "plain"], ["user", "user"], [GATE]) == [[0]]


@pytest.mark.parametrize(
    "text",
    [
        "if a < b and c | d > e: print('[OK]')",
        "let x = f <| g |> h",
        "<section><p>List<String> and vector<int></p></section>",
        "usage: tool [OPTIONS] [ARGS] <file> [-o OUT]",
        "a[0] ~ b[1] and [x~y]",
        "| a | b |\n|---|---|",
    ],
)
def test_code_tables_and_usage_lines_are_left_as_they_are(text: str) -> None:
    assert defuse_control_tokens(text) == text


@given(st.lists(st.sampled_from([*EVERY, "<", "|", ">", "[", "]", "~", "a", " "]), max_size=12))
def test_nothing_is_left_to_find_once_a_text_is_defused(parts: list[str]) -> None:
    assert find_control_token(defuse_control_tokens("".join(parts))) is None
