"""Turn a reference to a model into a folder that can be loaded."""
