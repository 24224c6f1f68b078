"""The stage ``synthesize``: an asker and an answerer talk, turn by turn."""
