"""Text rule: what a chat template would take for its own control token is defused."""

from parrot_core.control_tokens import defuse_control_tokens


def control_tokens(text: str, role: str) -> str:
    """See ``parrot_core.control_tokens``."""
    return defuse_control_tokens(text)
