"""Benchmarks, the judge, scores with their uncertainty, and the report of a run."""
