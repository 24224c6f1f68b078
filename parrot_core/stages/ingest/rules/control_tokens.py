"""Text rule: what a chat template would take for its own control token is defused."""

from parrot_core.stages.ingest.rules.gate import Gate
from parrot_core.text.control_tokens import defuse_control_tokens

GATE = Gate(
    (
        r"<\||\|>|<\x{ff5c}|<</?SYS>>|\[/?[ACIMST][A-Z]{3}|_of_(?:turn|image)>|<(?:issue|jupyter|fim|extra_id)_",
        r"</?(?:s|bos|eos|pad|unk|mask|sop|eop)>|</?(?:repo|file|gh_|empty_)|_TOKEN>|<SPECIAL_",
        r"<reserved_|<unused|<seed:|\[(?:BOS|EO[ST]|gMASK)\]|\[\||\]~!?b|\[e~\[",
    )
)


def control_tokens(text: str, role: str) -> str:
    """See ``parrot_core.text.control_tokens``."""
    return defuse_control_tokens(text)
