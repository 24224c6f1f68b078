"""bespokelabs-curator's contender: a round of ``curator.LLM`` over all dialogues for each message.

Its own two-agent simulation (``MultiTurnAgents``) holds one conversation after another, so rounds
over a dataset, each cached by curator, are its best way. Rounds are barriers.

Usage: python bench/peers/run_curator.py --base-url URL --sessions 100 --folder DIR
"""

from typing import Any

from bespokelabs import curator
from measured import Work, measure


class Speaker(curator.LLM):  # type: ignore[misc]  # its package has no types
    """Writes the next message of every dialogue."""

    def prompt(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """The whole conversation so far."""
        return [{"role": m["role"], "content": m["content"]} for m in row["messages"]]

    def parse(self, row: dict[str, Any], response: str) -> dict[str, Any]:
        """The conversation with the new message."""
        role = "assistant" if row["messages"][-1]["role"] == "user" else "user"
        return {"messages": [*row["messages"], {"role": role, "content": response}]}


def converse(work: Work) -> int:
    """Run 2 x turns - 1 rounds; returns the dialogues that reached the end."""
    params = {
        "base_url": work.base_url,
        "api_key": "none",
        "max_concurrent_requests": work.concurrency,
        "max_requests_per_minute": 1_000_000,
        "max_tokens_per_minute": 1_000_000_000,
        "seconds_to_pause_on_rate_limit": 1,
        "require_all_responses": False,
    }
    speakers = {
        name: Speaker(model_name=name, backend="openai", backend_params=params)
        for name in ("answerer", "asker")
    }
    rows: Any = [{"messages": [{"role": "user", "content": text}]} for text in work.openings()]
    for step in range(2 * work.turns - 1):
        speaker = speakers["asker" if step % 2 else "answerer"]
        rows = speaker(rows, working_dir=str(work.folder)).dataset
    return len(rows)


if __name__ == "__main__":
    measure(__doc__ or "", converse)
