"""What a set of sessions is like: measures over any version or source, beside Table 1."""
