"""Versions for others: Hugging Face datasets, ShareGPT JSON, TRL JSONL, plain Parquet."""
