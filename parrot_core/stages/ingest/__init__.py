"""From source files to clean, split conversations, and from those to the seeds of new dialogues."""
