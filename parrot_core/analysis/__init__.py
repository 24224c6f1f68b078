"""What is measured of versions and runs after, before or beside a run."""
