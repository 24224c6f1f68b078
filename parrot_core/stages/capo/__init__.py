"""Context-aware preference optimisation: which queries lean on context, and the negatives."""
