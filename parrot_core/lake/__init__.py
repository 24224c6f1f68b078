"""Versioned Parquet datasets and models on any fsspec URL: plan, journal, commit, verify."""
