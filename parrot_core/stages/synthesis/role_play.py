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


def role_play(history: Sequence[Message]) -> list[Message]:
    """The conversation as an instruct model sees it that is told to play the user."""
    said = (f"{_SPEAKERS[message['role']]}: {message['content']}" for message in history)
    return [{"role": "user", "content": ROLE_PLAY.format(transcript="\n\n".join(said))}]
