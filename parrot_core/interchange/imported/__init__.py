"""Imports a user's own data and models as published versions."""
