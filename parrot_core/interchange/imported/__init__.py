"""What one has already, as published versions: dialogues, pairs, openings, models."""
