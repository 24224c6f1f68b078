"""The `parrot` command."""
