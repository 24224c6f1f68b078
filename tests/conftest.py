"""What holds for all tests."""

from hypothesis import settings

# Speed is measured in bench/: on a busy machine a deadline fails tests that are right.
settings.register_profile("parrot", deadline=None)
settings.load_profile("parrot")
