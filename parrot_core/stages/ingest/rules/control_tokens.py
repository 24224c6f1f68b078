"""Text rule: what a chat template would take for its own control token is defused."""

from parrot_core.stages.ingest.rules.gate import Gate
from parrot_core.text.control_tokens import defuse_control_tokens

GATE = Gate(
    (
        r"<\||<\x{ff5c}|<</?SYS>>|\[/?[IATS][A-Z]{3}|_of_turn>|<(?:issue|jupyter)_",
        r"</?(?:s|bos|eos|pad|unk|mask)>|</?(?:repo|file|gh_|empty_)",
    )
)


def control_tokens(text: str, role: str) -> str:
    """See ``parrot_core.text.control_tokens``."""
    return defuse_control_tokens(text)
