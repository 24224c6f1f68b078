"""Multi-turn benchmarks: questions and reference answers in the layout of FastChat."""
