"""The conversation loop: many sessions in flight, each at its own turn."""
