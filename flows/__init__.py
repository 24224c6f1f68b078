"""Prefect flows: one a stage, ``regenerate`` for all, ``retry-failed``, ``ablate``."""
