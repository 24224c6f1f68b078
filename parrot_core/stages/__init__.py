"""The stages of the factory: a base class, the registry, and a folder for each subject."""
