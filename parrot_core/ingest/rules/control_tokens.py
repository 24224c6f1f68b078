"""Text rule: what a chat template would take for its own control token is defused."""

from parrot_core.control_tokens import defuse_control_tokens
from parrot_core.ingest.rules.gate import Gate

GATE = Gate(
    (
        r"<\||<\x{ff5c}|<</?SYS>>|\[/?[IATS][A-Z]{3}|_of_turn>|<(?:issue|jupyter)_",
        r"</?(?:s|bos|eos|pad|unk|mask)>|</?(?:repo|file|gh_|empty_)",
    )
)


def control_tokens(text: str, role: str) -> str:
    """See ``parrot_core.control_tokens``."""
    return defuse_control_tokens(text)
