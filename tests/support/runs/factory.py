"""The ``parrot`` command against a lake of its own, and conversations for it to read."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

TOPICS = ("rivers", "winter", "parrots", "Paris", "the sea", "poems", "lakes", "speech")


OPENINGS = ("What can you tell me about {}?", "Please explain {} to me.", "Why do people like {}?")


FOLLOW_UPS = (
    "Could you explain that again, please?",
    "And why is it so?",
    "What about the other one in winter?",
    "Can you make it shorter and write it as a poem?",
    "How does that compare with the first one?",
    "Give me an example of this, please.",
)


def sharegpt_file(path: Path, sessions: int = 120) -> Path:
    """Conversations in ShareGPT's layout, with follow-ups that lean on the context."""
    rng = random.Random(0)
    records = []
    for number in range(sessions):
        topic = rng.choice(TOPICS)
        queries = [f"{rng.choice(OPENINGS).format(topic)} ({number})"]
        queries += rng.sample(FOLLOW_UPS, 3)
        turns = []
        for query in queries:
            turns.append({"from": "human", "value": query})
            turns.append({"from": "gpt", "value": f"In short, {topic} matter to many people."})
        records.append({"id": f"session{number}", "conversations": turns})
    path.write_text(json.dumps(records))
    return path


class Factory:
    """The ``parrot`` command in a folder and an environment of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {**os.environ, **environment}

    def __call__(self, *arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-c", "from parrot_cli.main import main; main()", *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == code, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 else done.stderr
