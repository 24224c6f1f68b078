"""A recipe with nothing but what must be there, for tests to change."""

from typing import Any

from parrot_core.recipe import Recipe, parse_recipe


def minimal_recipe(lake: str, base_url: str = "http://127.0.0.1:9/v1", **changes: Any) -> Recipe:
    """A valid recipe whose engines all speak to ``base_url``."""
    engine = {"kind": "openai", "model": "m", "base_url": base_url, "api_key_env": None}
    return parse_recipe(
        {
            "name": "test",
            "lake": lake,
            "engines": {"asker": engine, "answerer": engine, "judge": engine},
            "ingest": {"sources": ["none.json"]},
            "train_ask": {"base": "tiny"},
            "train_sft": {"base": "tiny"},
            "ask_first": False,  # tests count requests
            "evaluate": {"subjects": {"chat": "answerer"}},
            **changes,
        }
    )
