"""What an instruct model is told that plays the user: for synthesis, and for the proof of an asker.

After the paper's comparison with a ChatGPT that plays the user. As one message with a transcript:
with the roles swapped in the chat itself a small model takes the assistant's answer for a request.
"""

from collections.abc import Sequence

from parrot_core.engines.types import Message

_SPEAKERS = {"system": "System", "user": "User", "assistant": "Assistant"}
ROLE_PLAY = """\
You are playing the role of a user who talks with an AI assistant. The conversation so far:

{transcript}

Write the next message that the user sends to the assistant. Write only that message, in the \
user's own words and language, with no introduction and no answer to it."""
NOT_BEGUN = "(It has not begun: this is the user's first message.)"
MAY_END = "If the user would have nothing more to say, write only: {mark}"
END = "[END]"
"""What a model that plays the user writes to go, where it is told that it may."""


def role_play(history: Sequence[Message], *, may_end: bool = False) -> list[Message]:
    """The conversation as an instruct model sees it that is told to play the user.

    Args:
        history: the messages so far; without any it is told to begin.
        may_end: whether it is told that the user may go, by :data:`END`.
    """
    said = [f"{_SPEAKERS[message['role']]}: {message['content']}" for message in history]
    told = ROLE_PLAY.format(transcript="\n\n".join(said or [NOT_BEGUN]))
    if may_end:
        told += f" {MAY_END.format(mark=END)}"
    return [{"role": "user", "content": told}]
