"""LLM verdicts that several subjects share: grades, pairwise preferences, context dependence."""
