"""Prefect tasks: a few lines each around ``parrot_core``."""
