"""Real runs of the ``parrot`` command, for tests that stop, kill or double them."""
