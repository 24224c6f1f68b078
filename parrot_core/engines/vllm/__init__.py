"""vLLM servers that a stage starts, replicates and stops."""
